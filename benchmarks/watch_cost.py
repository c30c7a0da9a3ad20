"""What watching costs: the rules on the host, a look at each step, the health figures inside the compiled step.

All are paired: with and without, alternately, on one warm trainer, so that other load on the machine strikes both
alike. CPU time counts all threads of this process and suffers less from other load than wall time does.
"""

import tempfile
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Annotated, Any

import typer
from keras import ops

from benchmarks.parts.machine import Machine
from benchmarks.parts.session import sample_plan
from benchmarks.parts.table import DOCUMENT, Section, Table, publish, wide_console
from detector.backend import Compiled, to_host
from detector.boxes import Tensor
from detector.config import Hyperparameters
from detector.setup import Setup
from detector.training import trainer as training
from detector.training.step import TrainStep
from detector.training.trainer import LOOK_EVERY_STEPS, Trainer
from detector.watch.health import FORWARD_FIGURES, LOSSES, unpack
from detector.watch.watch import Watch, trial_context
from trial.reports import RungReport

SCRIPT = "benchmarks.watch_cost"
CANVAS = "96x128"  # as `make study`
HYPERPARAMETERS = Hyperparameters(batch_size=4, lr_per_16=0.002)


class BareStep(TrainStep):
    """The step with its losses as the only figures: the compiler drops what the others need."""

    def _packed(self, figures: dict[str, Tensor]) -> Tensor:
        nothing = ops.zeros((), "float32")
        return super()._packed({name: figures[name] if name in LOSSES else nothing for name in FORWARD_FIGURES})


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Seconds of the same work with and without something, taken in turn."""

    wall_s: tuple[tuple[float, float], ...]
    cpu_s: tuple[tuple[float, float], ...]

    def row(self, name: str) -> tuple[str, float, float, str, str]:
        """Medians of the wall times, and medians of the pairs' ratios."""
        with_s, without_s = (median(pair[side] for pair in self.wall_s) for side in (0, 1))
        return name, with_s, without_s, _ratio(self.wall_s), _ratio(self.cpu_s)


class WatchedTrainer(Trainer):
    """A trainer whose watch can be switched off, and which keeps what its step was given."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.given: tuple[Any, ...] = ()
        self.train_step = _Kept(self)

    def watch(self, on: bool) -> None:
        """Switch the watch on or off, from now on."""
        self._watches = on

    def evaluate(self, *on_stage: Any, **named: Any) -> dict[str, float]:
        """Not measured here."""
        return {"ap": 0.0}

    def _begin_save(self, trial: Any) -> "Future[Path]":
        """Nor are checkpoints."""
        saved: Future[Path] = Future()
        saved.set_result(trial.directory)
        return saved


class _Kept(Compiled):
    def __init__(self, trainer: WatchedTrainer) -> None:
        self._trainer = trainer
        self._step = trainer.train_step

    def __call__(self, *arguments: Any) -> Any:
        self._trainer.given = arguments[1:]
        return self._step(*arguments)


def look_every(steps: int) -> None:
    """Look after so many steps from now on, past the first ones of a trial."""
    training.LOOK_EVERY_STEPS, training.STEPS_PER_LATE_STEP = steps, 1


def measure_intervals(trainer: WatchedTrainer, pairs: int, folder: Path, switch: Callable[[bool], None]) -> Pairs:
    """Ten steps of one trial with something on and off, each time until their figures are on the host."""
    images = HYPERPARAMETERS.batch_size * LOOK_EVERY_STEPS
    trainer.begin(HYPERPARAMETERS, seed=0, budget_images=images * (2 * pairs + 2), directory=folder)
    done = 0

    def interval(on: bool) -> None:
        nonlocal done
        done += images
        switch(on)
        report = trainer.advance(done, lambda progress: None, lambda: False)
        if not isinstance(report, RungReport):
            raise RuntimeError(f"the trial that is measured must go on, but ended: {report}")

    interval(on=True)  # compiles, and looks at each step
    return _paired(lambda: interval(on=True), lambda: interval(on=False), pairs)


def measure_figures(trainer: WatchedTrainer, pairs: int) -> Pairs:
    """Single steps of the same batch with all health figures and with the losses only, each on a state of its own."""
    frozen, batch, inputs = trainer.given
    steps = []
    for kind in (TrainStep, BareStep):
        compiled = Compiled(kind(trainer._network, trainer.shape), donate_first=True)
        steps.append(_Chain(compiled, trainer._fresh_state(0, HYPERPARAMETERS.anchors), (frozen, batch, inputs)))
    for step in (*steps, *steps):
        step()  # compiles, and again where a type was weak
    full, bare = steps
    return _paired(full, bare, pairs)


def rules_us(trainer: WatchedTrainer, repeats: int = 2000) -> float:
    """Microseconds of the host that unpacking and all rules take for a step, device not counted."""
    frozen, batch, inputs = trainer.given
    _, vector = trainer.train_step(trainer._fresh_state(0, HYPERPARAMETERS.anchors), frozen, batch, inputs)
    packed = to_host(vector)
    watch = Watch(trial_context(HYPERPARAMETERS, trainer.shape, budget_images=repeats * HYPERPARAMETERS.batch_size))
    wall_s, _ = _timed(lambda: [watch.observe(step, unpack(packed)) for step in range(repeats)])
    return 1e6 * wall_s / repeats


class _Chain:
    """Steps one after another, each waited for."""

    def __init__(self, step: Compiled, state: Any, given: tuple[Any, ...]) -> None:
        self._step, self._state, self._given = step, state, given

    def __call__(self) -> None:
        self._state, figures = self._step(self._state, *self._given)
        to_host(figures)


def _paired(one: Callable[[], None], other: Callable[[], None], pairs: int) -> Pairs:
    wall_s, cpu_s = [], []
    for number in range(pairs):
        order = (0, 1) if number % 2 == 0 else (1, 0)  # whoever is second must not always have the warmer cache
        took = {side: _timed((one, other)[side]) for side in order}
        wall_s.append((took[0][0], took[1][0]))
        cpu_s.append((took[0][1], took[1][1]))
    return Pairs(wall_s=tuple(wall_s), cpu_s=tuple(cpu_s))


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    wall_s, cpu_s = perf_counter(), process_time()
    work()
    return perf_counter() - wall_s, process_time() - cpu_s


def _ratio(pairs: tuple[tuple[float, float], ...]) -> str:
    return f"{median(one / other for one, other in pairs) - 1:+.1%}"


def main(
    canvas: Annotated[str, typer.Option(help="HEIGHTxWIDTH")] = CANVAS,
    intervals: Annotated[int, typer.Option(min=2, help="pairs of logging intervals")] = 10,
    steps: Annotated[int, typer.Option(min=2, help="pairs of single steps")] = 60,
    output: Annotated[Path, typer.Option(help="Markdown file that gets the section", show_default=False)] = DOCUMENT,
) -> None:
    """Measure what the watch's rules and the step's health figures cost; KERAS_BACKEND chooses the backend."""
    console = wide_console()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        setup = replace(sample_plan(folder, canvas=canvas, images=480).setup, micro_batch=HYPERPARAMETERS.batch_size)
        with console.status("setup"):
            trainer = WatchedTrainer(setup)
        with console.status("rules"):
            rules = measure_intervals(trainer, intervals, folder / "rules", trainer.watch)
        trainer.watch(True)
        with console.status("looks"):
            looks = measure_intervals(
                trainer, intervals, folder / "looks", lambda on: look_every(1 if on else LOOK_EVERY_STEPS)
            )
        with console.status("figures"):
            figures = measure_figures(trainer, steps)
            alone_us = rules_us(trainer)
    step_s = median(without_s for _, without_s in figures.wall_s)
    table = Table(
        caption="With and without, in turn",
        columns=("what", "with, s", "without, s", "wall time", "CPU time"),
        rows=(
            rules.row(f"all rules of the watch, over {LOOK_EVERY_STEPS} steps"),
            looks.row(f"a look at each of {LOOK_EVERY_STEPS} steps, as in a trial's first, against one at the last"),
            figures.row(f"all {len(FORWARD_FIGURES)} figures of a micro-batch against its 4 losses, a step"),
        ),
    )
    section = Section(
        script=SCRIPT,
        title="What the watch costs",
        tables=(table,),
        notes=(
            f"Sample data, canvas {trainer.shape.canvas}, batches of {HYPERPARAMETERS.batch_size} images in one "
            f"micro-batch; {intervals} pairs of logging intervals and {steps} pairs of steps; medians of the times "
            "and of the pairs' ratios.",
            f"The rules alone take {alone_us:.0f} µs of the host a step, {1e-6 * alone_us / step_s:.3%} of one.",
        ),
    )
    machine = Machine.here(backend=trainer.backend, device=trainer.device, script=SCRIPT)
    publish(section, machine, output, console)


if __name__ == "__main__":
    typer.run(main)
