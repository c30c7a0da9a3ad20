"""A study whose space mostly diverges: how many proposals do, and what that costs.

    python -m benchmarks.diverging_space [--seeds 8]            closed-form trainer, 60 trials each
    python -m benchmarks.diverging_space --real [--trials 16]   real trainer, on the sample data
    … --risk 1                                                  the same, and no rate is refused

A whole service each time: launch, worker, trainer, SQLite. The ranges of the learning rates are such that about 60 % of
what a blind search proposes diverges (closed form: `search/trainer/analytic.py`; real: by `--blind`).
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Annotated, Any

import optuna
import typer

from benchmarks.parts.table import Table, drawing, wide_console
from detector.data.sample_data import write_sample
from search.launch.launching import launch
from search.report.ranking import best, ranking
from search.study.policy_section import Sampler
from search.study.specification import Specification, specification_from
from search.terminal import PlainConsole
from search.trainer.analytic import explosion_step
from storage.connection.database import Database
from storage.outcomes import read_outcomes
from storage.study import find_study
from trial.outcome import Outcome

ANALYTIC_SPACE = {"lr_per_16": {"low": 1e-3, "high": 10.0}, "adam_lr_per_16": {"low": 1e-5, "high": 0.5}}
REAL_SPACE = {
    "lr_per_16": {"low": 3e-3, "high": 10.0},
    "adam_lr_per_16": {"low": 3e-5, "high": 0.5},
    "clip_norm": 1e6,
    "batch_size": 4,
    "anchor_scales": 1,
    "anchor_ratios": 3,
}
TRIALS, IMAGES = 60, 4000
LOG = "launch.log"
RISK = Sampler().most_divergence_risk


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What diverging trials cost a study."""

    seed: int
    trained: int
    refused: int
    diverged: int  # of those that were trained
    images: float  # share of all images
    best_ap: float

    @property
    def row(self) -> tuple[int, int, int, int, float, float, float]:
        """Shares in percent."""
        share = 100 * self.diverged / self.trained
        return (self.seed, self.trained, self.refused, self.diverged, share, 100 * self.images, self.best_ap)


def blind_share(specification: Specification, *, proposals: int = 2000) -> float:
    """The share of blind proposals that diverge in closed form."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    space = specification.space
    found = [explosion_step(space.configuration(space.suggest(study.ask()))) for _ in range(proposals)]
    return sum(step is not None for step in found) / proposals


def analytic_study(folder: Path, *, seed: int, risk: float = RISK, trials: int = TRIALS) -> Specification:
    """A study of closed-form trials."""
    nowhere = {"train": {"images": str(folder), "annotations": str(folder / "none.json")}}
    return _study(
        folder,
        trainer="analytic",
        data=nowhere,
        detector={"canvas": "128x128"},
        space=ANALYTIC_SPACE,
        budget={"trials": trials, "images": IMAGES},
        pruner={"name": "halving"},
        sampler={"name": "tpe", "seed": seed, "most_divergence_risk": risk},
    )


def real_study(
    folder: Path, *, seed: int, trials: int, images: int, risk: float, sampler: str = "tpe"
) -> Specification:
    """A study of short trials on the sample data; `derived: none`, because only rates matter here."""
    write_sample(folder / "data", train=48, validation=8, size_px=(64, 64), sizes_px=(10.0, 40.0))
    return _study(
        folder,
        data={"folder": str(folder / "data")},
        detector={"canvas": "64x64"},
        space=REAL_SPACE,
        derived="none",
        budget={"trials": trials, "images": images, "rungs": [images], "validation_images": 4},
        sampler={
            "seed": seed,
            "name": sampler,
            "startup_trials": min(10, trials // 3),
            "least_anchor_fit": 0,
            "most_divergence_risk": risk,
        },
    )


def _study(folder: Path, **sections: Any) -> Specification:
    document = {"name": "diverging", "storage": f"sqlite:///{folder / 'study.db'}", **sections}
    return specification_from(document, "this benchmark")


def cost(specification: Specification, folder: Path) -> Cost:
    """Run the study to its end, and count; a study that was stopped is not counted."""
    with (folder / LOG).open("w") as log:
        code = launch(specification, folder=folder, console=PlainConsole(file=log, width=200))
    if code != 0:
        raise typer.Exit(code)
    with Database.open(specification.storage) as database:
        records = read_outcomes(find_study(database, specification.name))
        winner = best(ranking(find_study(database, specification.name)))
    diverged = [record for record in records if record.outcome == Outcome.DIVERGED]
    refused = sum(record.outcome.refused for record in records)
    return Cost(
        seed=specification.sampler.seed,
        trained=len(records) - refused,
        refused=refused,
        diverged=len(diverged),
        images=sum(record.images for record in diverged) / sum(record.images for record in records),
        best_ap=winner.ap if winner is not None and winner.ap is not None else 0.0,
    )


def main(
    seeds: Annotated[int, typer.Option(min=1)] = 8,
    real: Annotated[bool, typer.Option("--real", help="With the real trainer: minutes for each seed.")] = False,
    blind: Annotated[
        bool, typer.Option("--blind", help="Real trials proposed blindly: the share of the space.")
    ] = False,
    trials: Annotated[int, typer.Option(min=2, help="Of each real study.")] = 16,
    images: Annotated[int, typer.Option(min=64, help="Of each real trial.")] = 240,
    risk: Annotated[float, typer.Option(help="The study's sampler.most_divergence_risk.")] = RISK,
) -> None:
    """Run the studies one after another, and show what diverging trials cost each."""
    found = []
    console = wide_console()
    with tempfile.TemporaryDirectory() as name:
        for seed in range(seeds):
            folder = Path(name) / str(seed)
            folder.mkdir()
            if real or blind:
                options = {"sampler": "random", "risk": 1.0} if blind else {"risk": risk}
                specification = real_study(folder, seed=seed, trials=trials, images=images, **options)
            else:
                specification = analytic_study(folder, seed=seed, risk=risk)
            with console.status(f"study {seed + 1} of {seeds}, which tells its trials in {folder / LOG}"):
                found.append(cost(specification, folder))
        share = "" if real or blind else f"; {blind_share(specification):.0%} of blind proposals diverge"
    rows = tuple(each.row for each in found)
    total = ("mean", *(mean(column) for column in list(zip(*rows, strict=True))[1:]))
    table = Table(
        caption=f"{'Real' if real or blind else 'Closed-form'} trials{share}",
        columns=("seed", "trained", "refused", "diverged", "diverged, %", "images in diverged trials, %", "best AP"),
        rows=(*rows, total),
    )
    console.print(drawing(table))


if __name__ == "__main__":
    typer.run(main)
