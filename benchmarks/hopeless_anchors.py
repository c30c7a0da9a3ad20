"""Proposals with hopeless anchors: how often they come, before the sampler was taught and after, and what each takes.

    python -m benchmarks.hopeless_anchors [--trials 40] [--seeds 3]

The boxes are those of the sample data at 96 × 128 px, so a blind proposal is refused as often as in a real study. The
trials are closed-form ones (search/trainer/analytic.py): anchors of 24 px on P2 do best, whatever the boxes.
"""

import tempfile
import threading
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Annotated

import optuna
import typer

from benchmarks.parts.table import Table, drawing, wide_console
from detector.data.pair import load_pair
from detector.data.sample_data import write_sample
from search.plan import Plan
from search.policy.derived_point import canvas_boxes, derived_anchors
from search.policy.screens.anchor_screen import AnchorScreen
from search.study.canvas import parse_canvas
from search.study.data_section import Data
from search.study.specification import Specification, specification_from
from search.worker.loop import Worker
from storage.box_samples import keep_box_sample
from storage.connection.database import Database
from storage.study import create_study, read_trials
from trial.outcome import Outcome

CANVAS = parse_canvas("96x128")
STARTUP = 10


def screen_of(folder: Path, specification: Specification) -> AnchorScreen:
    """The screen that a launch on the sample data would keep."""
    write_sample(folder)
    train, validation = Data(folder=folder).sources()
    training_set, _ = load_pair(train, validation, share=0.2, seed=0)
    boxes = canvas_boxes(training_set, CANVAS)
    derived = derived_anchors(boxes, specification.space, seed=0)
    if derived is None:
        raise ValueError("the default space has anchors to derive")
    return AnchorScreen.of(boxes, derived.anchors, seed=0)


def study(folder: Path, *, seed: int, trials: int) -> Specification:
    """A study of closed-form trials on the default space."""
    document = {
        "name": "hopeless",
        "storage": f"sqlite:///{folder / f'{seed}.db'}",
        "trainer": "analytic",
        "data": {"train": {"images": str(folder), "annotations": str(folder / "none.json")}},
        "detector": {"canvas": str(CANVAS)},
        "budget": {"trials": trials, "images": 1440},
        "sampler": {"seed": seed, "startup_trials": STARTUP},
    }
    return specification_from(document, "this benchmark")


def worked(specification: Specification, screen: AnchorScreen, folder: Path) -> list[optuna.trial.FrozenTrial]:
    """Every trial of the study at its end."""
    with Database.open(specification.storage) as database:
        study = create_study(database, specification.name)
        keep_box_sample(study, screen.to_json())
        Worker(study, Plan.of(specification, folder / "work"), stop=threading.Event()).run()
        return read_trials(study)


def was_refused(trial: optuna.trial.FrozenTrial) -> bool:
    """Whether it was told before any training."""
    outcome = trial.user_attrs.get("outcome")
    return outcome is not None and Outcome(outcome).refused


def decision_ms(screen: AnchorScreen, specification: Specification) -> float:
    """The median time of one decision over configurations of the space."""
    proposer = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    spent = []
    for _ in range(50):
        anchors = specification.space.configuration(specification.space.suggest(proposer.ask())).anchors
        began_s = perf_counter()
        screen.verdict(anchors, least=0.5)
        spent.append(1e3 * (perf_counter() - began_s))
    return median(spent)


def row_of(seed: int, trials: list[optuna.trial.FrozenTrial]) -> tuple[int | float | str, ...]:
    """Seed, trained, refused, shares refused before and after the start-up, and how long a refused one was there."""
    trained = [trial.number for trial in trials if not was_refused(trial)]
    first, last = trained[1] + 1, trained[STARTUP - 1]
    shares = (f"{sum(map(was_refused, part)) / len(part):.0%}" for part in (trials[first:last], trials[last + 1 :]))
    there_ms = [
        1e3 * (trial.datetime_complete - trial.datetime_start).total_seconds()
        for trial in trials
        if was_refused(trial) and trial.datetime_complete and trial.datetime_start
    ]
    return (seed, len(trained), len(trials) - len(trained), *shares, median(there_ms))


def main(
    trials: Annotated[int, typer.Option(min=12)] = 40,
    seeds: Annotated[int, typer.Option(min=1)] = 3,
) -> None:
    """Run the studies one after another, and show what was refused."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        screen = screen_of(folder / "data", study(folder, seed=0, trials=trials))
        took_ms = decision_ms(screen, study(folder, seed=0, trials=trials))
        rows = []
        for seed in range(seeds):
            specification = study(folder, seed=seed, trials=trials)
            rows.append(row_of(seed, worked(specification, screen, folder / str(seed))))
    table = Table(
        caption=f"Hopeless anchors; {took_ms:.1f} ms for a decision on {len(screen.boxes)} boxes",
        columns=("seed", "trained", "refused", "refused at start-up", "refused later", "ms from asked to told"),
        rows=tuple(rows),
    )
    wide_console().print(drawing(table))


if __name__ == "__main__":
    typer.run(main)
