"""Whether their learning rate fits the batch, and their schedule the data and itself."""

from collections.abc import Iterator

from detector.config import Optimizer
from search.doctor.diagnostic import Level
from search.imports.imported import Imported
from search.imports.lint.finding import Finding, Mend, finding
from search.imports.lint.ground import Ground

REFERENCE_RATE = {Optimizer.SGD: 0.02, Optimizer.ADAM: 1e-4}  # for 16 images, of those who ship such files
MUCH, FAR_TOO_MUCH = 1.9, 3.9  # × the rate that the linear rule gives: two and four GPUs on one
ADAM_MUCH, ADAM_FAR_TOO_MUCH = 9.9, 49.0
LITTLE = 0.005
MOST_EPOCHS, LEAST_EPOCHS = 300, 1
USUAL_DROPS = (2 / 3, 8 / 9)  # of a training
MOST_WARMUP = 0.5  # of a training
SHARP_START = 0.005  # a rate for 16 images at which no warm-up is a risk


def check_schedule(imported: Imported, ground: Ground) -> Iterator[Finding]:
    """Findings about the rate, warm-up, drops and length."""
    yield from _rate(imported)
    yield from _warmup(imported)
    yield from _drops(imported)
    yield from _length(imported, ground.images)


def _rate(imported: Imported) -> Iterator[Finding]:
    rate, batch, optimizer = imported.learning_rate, imported.batch_size.value, imported.optimizer.value
    if rate.value == 0:
        yield finding(
            "rate-zero", Level.ERROR, rate, "is 0: nothing is learnt",
            f"write {_right_rate(optimizer, batch)}, what the linear rule gives for {batch} images",
            mends=[Mend(wish="learning_rate", value=_right_rate(optimizer, batch))],
        )  # fmt: skip
        return
    wanted = REFERENCE_RATE[optimizer] * batch / 16
    times = rate.value / wanted
    mends = [Mend(wish="learning_rate", value=_right_rate(optimizer, batch))]
    much, far = (MUCH, FAR_TOO_MUCH) if optimizer is Optimizer.SGD else (ADAM_MUCH, ADAM_FAR_TOO_MUCH)
    if times >= much:
        yield finding(
            "rate-for-more-gpus" if optimizer is Optimizer.SGD else "rate-of-another-optimizer",
            Level.ERROR if times >= far else Level.WARNING, rate,
            f"is {rate.value:g} for batches of {batch} images ({imported.batch_size.key}): {times:.3g} times what "
            f"the linear rule gives. {_meant(rate.value, optimizer)}",
            f"write {wanted:.3g}, or train {round(rate.value / REFERENCE_RATE[optimizer] * 16)} images a batch",
            mends=mends,
        )  # fmt: skip
    elif times <= LITTLE:
        yield finding(
            "rate-too-low", Level.WARNING, rate,
            f"is {rate.value:g} for batches of {batch} images: a {1 / times:.0f}th of what the linear rule gives, "
            "which hardly moves the heads",
            f"write {wanted:.3g}", mends=mends,
        )  # fmt: skip


def _right_rate(optimizer: Optimizer, batch: int) -> float:
    return float(f"{REFERENCE_RATE[optimizer] * batch / 16:.3g}")


def _meant(rate: float, optimizer: Optimizer) -> str:
    if optimizer is Optimizer.ADAM:
        return "Adam takes a hundredth of SGD's rates"
    images = round(rate / REFERENCE_RATE[optimizer] * 16)
    shipped = ", eight GPUs of two, as such files are shipped" if images == 16 else ""
    return f"It is a rate for batches of {images} images{shipped}; with fewer, losses become NaN"


def _warmup(imported: Imported) -> Iterator[Finding]:
    warmup, iterations, rate = imported.warmup_iterations, imported.iterations, imported.learning_rate.value
    share = warmup.value / iterations.value
    right = max(1, round(iterations.value / 90))
    advice, mends = f"write {right}, about a hundredth of training", [Mend(wish="warmup_iterations", value=right)]
    if share >= 1:
        yield finding(
            "warmup-too-long", Level.ERROR, warmup,
            f"is {warmup.value:g} iterations, but training ends after {iterations.value:g} ({iterations.key}): the "
            "rate never gets to its peak",
            advice, mends=mends,
        )  # fmt: skip
    elif share > MOST_WARMUP:
        yield finding(
            "warmup-too-long", Level.WARNING, warmup,
            f"takes {share:.0%} of the {iterations.value:g} iterations ({iterations.key})", advice,
            mends=mends,
        )  # fmt: skip
    elif warmup.value < 1 and imported.optimizer.value is Optimizer.SGD:
        for_16 = rate * 16 / imported.batch_size.value
        if for_16 > SHARP_START:
            steps = min(max(100, right), 1000, round(iterations.value * MOST_WARMUP / 2)) or 1
            yield finding(
                "no-warmup", Level.WARNING, warmup,
                f"gives no warm-up, but training begins at a rate of {rate:g} ({imported.learning_rate.key}): the "
                "first steps of new heads blow up",
                f"write {steps} iterations", mends=[Mend(wish="warmup_iterations", value=steps)],
            )  # fmt: skip


def _drops(imported: Imported) -> Iterator[Finding]:
    drops, warmup, iterations = imported.milestones, imported.warmup_iterations.value, imported.iterations.value
    early = [each for each in drops.value if each <= warmup and each < iterations]
    late = [each for each in drops.value if each >= iterations]
    if early and warmup > 0:
        yield finding(
            "drop-before-warmup-ends", Level.WARNING, drops,
            f"drops the rate after {early[0]:g} iterations, while it still warms up ({imported.warmup_iterations.key} "
            f"= {warmup:g})",
            "drop it at two thirds and eight ninths of training", mends=_usual_drops(drops.value, iterations),
        )  # fmt: skip
    if late:
        yield finding(
            "drop-after-the-end", Level.WARNING, drops,
            f"drops the rate after {late[0]:g} iterations, but training ends after {iterations:g} "
            f"({imported.iterations.key}): that drop never comes",
            f"write {round(iterations * 2 / 3)} and {round(iterations * 8 / 9)}",
            mends=_usual_drops(drops.value, iterations),
        )  # fmt: skip


def _usual_drops(drops: tuple[float, ...], iterations: float) -> list[Mend]:
    """As many as there are, where the usual ones are enough."""
    usual = tuple(float(round(iterations * part)) for part in USUAL_DROPS[: len(drops)])
    return [Mend(wish="milestones", value=usual)] if len(usual) == len(drops) else []


def _length(imported: Imported, images: int) -> Iterator[Finding]:
    iterations, batch = imported.iterations, imported.batch_size.value
    epochs = iterations.value * batch / images
    enough = max(round(12 * images / batch), round(3000 / batch))
    if epochs > MOST_EPOCHS:
        yield finding(
            "schedule-too-long", Level.WARNING, iterations,
            f"is {iterations.value:g} iterations of {batch} images: {epochs:,.0f} epochs of the {images} images here. "
            "The rate stays at its peak until the detector knows them by heart",
            f"write about {enough} iterations, and the drops in proportion", mends=_of_length(imported, enough),
        )  # fmt: skip
    elif epochs < LEAST_EPOCHS:
        yield finding(
            "schedule-too-short", Level.WARNING, iterations,
            f"is {iterations.value:g} iterations of {batch} images: {epochs:.0%} of one epoch of {images} images",
            f"write about {enough} iterations", mends=_of_length(imported, enough),
        )  # fmt: skip


def _of_length(imported: Imported, iterations: int) -> list[Mend]:
    """The training made longer or shorter, warm-up and drops in proportion."""
    factor = iterations / imported.iterations.value
    mends = [Mend(wish="iterations", value=iterations)]
    if (warmup := imported.warmup_iterations.value) > 0:
        mends.append(Mend(wish="warmup_iterations", value=max(1, round(factor * warmup))))
    if drops := imported.milestones.value:
        mends.append(Mend(wish="milestones", value=tuple(float(round(factor * each)) for each in drops)))
    return mends
