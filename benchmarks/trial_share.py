"""The share of a default short trial that is neither training nor evaluation steps, and what stays from trial to trial.

One trainer runs a short trial (cold), the default one of the sample study (warm), and then short ones of random
configurations. The second gives the shares; the others the gaps between trials, the traces and the resident memory.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Annotated

import typer

from benchmarks.parts.machine import Machine
from benchmarks.parts.memory import peak_resident_mib
from benchmarks.parts.session import Session, Trial, random_configurations, sample_plan
from benchmarks.parts.table import DOCUMENT, Section, Table, publish, wide_console

SCRIPT = "benchmarks.trial_share"
CANVAS = "96x128"  # as `make study`
GENTLE_LR = 0.002  # the default one may diverge from scratch, and a trial that ends early has other shares


def shares(trial: Trial, setup_s: float, cold: Trial) -> Table:
    """Where the seconds of the trial went; setup and first steps are outside of it, paid once a process."""
    checkpoints_s = sum(trial.checkpoints_s)
    scoring_s = trial.evaluation_s - trial.evaluation_steps_s
    rest_s = trial.other_s - trial.reset_s - scoring_s - checkpoints_s
    parts = (
        ("training steps", trial.training_steps_s),
        ("evaluation steps", trial.evaluation_steps_s),
        ("evaluation: all but the steps (AP)", scoring_s),
        (f"{len(trial.checkpoints_s)} checkpoints", checkpoints_s),
        ("reset to the trial's start", trial.reset_s),
        ("batches, health figures and the rest", rest_s),
        ("neither training nor evaluation steps", trial.other_s),
        ("whole trial", trial.trial_s),
    )
    once = (
        ("once a process: setup (data, network, weights)", setup_s),
        ("once a process: first training step (trace, compile, run)", cold.first_step_s),
    )
    return Table(
        caption=f"A trial of {trial.images} images on a warm trainer",
        columns=("part", "seconds", "% of the trial"),
        rows=(
            *((name, seconds, f"{seconds / trial.trial_s:.1%}") for name, seconds in parts),
            *((name, seconds, "–") for name, seconds in once),
        ),
    )


def sequence(trials: Sequence[Trial]) -> Table:
    """Every trial in its order: that nothing is traced anew, and what memory and the gaps do."""
    return Table(
        caption="Different trials on one trainer",
        columns=(
            "trial", "anchors per cell", "batch", "optimizer", "images", "ending", "s", "gap until the first step, s",
            "until it is done, s", "train traces", "evaluation traces", "resident, MiB",
        ),
        rows=tuple(
            (
                number,
                trial.hyperparameters.anchors.per_cell,
                trial.hyperparameters.batch_size,
                trial.hyperparameters.optimizer.value,
                trial.images,
                trial.ending,
                trial.trial_s,
                trial.until_first_step_s,
                trial.until_first_step_done_s,
                *trial.traces,
                trial.resident_mib,
            )
            for number, trial in enumerate(trials)
        ),
    )  # fmt: skip


def section(session: Session, whole: Trial) -> Section:
    """Both tables, and the medians over the warm trials."""
    warm = session.trials[1:]
    begins_s = median(trial.until_first_step_s for trial in warm)
    done_s = median(trial.until_first_step_done_s for trial in warm)
    shape = session.trainer.shape
    return Section(
        script=SCRIPT,
        title="What a trial costs beside its training",
        tables=(shares(whole, session.setup_s, session.trials[0]), sequence(session.trials)),
        notes=(
            f"Sample data, canvas {shape.canvas}, micro-batch {shape.micro_batch}, {shape.anchors_per_cell} anchor "
            f"slots per cell; trials 0 and 1 are the reference configuration with lr_per_16 {GENTLE_LR}.",
            f"From the end of a trial to the first step of the next, median of {len(warm)} warm ones: {begins_s:.2f} s "
            f"until it begins, {done_s:.2f} s until it is done.",
            f"Each step is waited for. Peak resident memory: {peak_resident_mib():.0f} MiB.",
        ),
    )


def main(
    canvas: Annotated[str, typer.Option(help="HEIGHTxWIDTH")] = CANVAS,
    images: Annotated[int, typer.Option(min=48, help="images of the whole trial")] = 480,
    others: Annotated[int, typer.Option(min=1, help="short trials of random configurations")] = 5,
    short: Annotated[int, typer.Option(min=1, help="images of a short trial")] = 64,
    output: Annotated[Path, typer.Option(help="Markdown file that gets the section", show_default=False)] = DOCUMENT,
) -> None:
    """Measure a trial's parts on a warm trainer; KERAS_BACKEND chooses the backend."""
    console = wide_console()
    with tempfile.TemporaryDirectory() as folder:
        plan = sample_plan(Path(folder), canvas=canvas, images=images)
        reference = replace(plan.space.configuration(plan.space.reference()), lr_per_16=GENTLE_LR)
        with console.status("setup"):
            session = Session(plan)
        with console.status("a cold trial"):
            session.run(reference, (short,))
        with console.status(f"a trial of {images} images"):
            whole = session.run(reference, plan.rungs)
        if not whole.complete:
            raise RuntimeError(f"the trial that is measured must run to its end, but ended as {whole.ending}")
        if not whole.checkpoints_s:
            raise RuntimeError("no checkpoint was timed; follow the trainer's change in benchmarks/parts/timing.py")
        for number, configuration in enumerate(random_configurations(plan.space, others), start=1):
            with console.status(f"random configuration {number} of {others}"):
                session.run(configuration, (short,))
    trainer = session.trainer
    machine = Machine.here(backend=trainer.backend, device=trainer.device, script=SCRIPT)
    publish(section(session, whole), machine, output, console)


if __name__ == "__main__":
    typer.run(main)
