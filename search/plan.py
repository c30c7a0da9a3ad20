"""What a worker must know of a study: the specification, worked out and checked once."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import optuna

from detector.config import ConfigError, DataSource
from detector.data.layout import find_sources
from detector.setup import Setup
from search.policy.pruning import make_pruner
from search.policy.samplers import make_sampler
from search.study.data_section import Data
from search.study.specification import Specification
from spaces.faster_rcnn import Space
from spaces.parameters import Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One study on one machine."""

    study: str
    folder: Path  # where this machine keeps checkpoints, caches and logs
    trainer: str  # `detector` or `analytic`
    setup: Setup
    space: Space
    trials: int
    rungs: tuple[int, ...]  # in images, ascending; the last is the whole budget
    seed: int
    sampler: str = "tpe"
    startup_trials: int = 10
    least_anchor_fit: float = 0.5
    most_divergence_risk: float = 0.6
    pruner: str = "halving"
    reduction_factor: int = 3
    derived: Mapping[str, Value] | None = None  # what trial 1 has in place of the reference's values

    @classmethod
    def of(cls, specification: Specification, folder: Path, *, cache: Path | None = None) -> "Plan":
        """The plan of a specification whose canvas and budget are settled. Reads no data, only the folder's layout.

        Caches lie below `folder` too, unless they have a place of their own.

        Raises:
            ConfigError: something is still `auto`, or the folder holds no dataset.
        """
        train, validation = sources_of(specification.data)
        return cls(
            study=specification.name,
            folder=folder,
            trainer=specification.trainer,
            setup=Setup(
                train=train,
                validation=validation,
                validation_share=specification.data.validation_share,
                detector=specification.detector.detector(),
                anchors_per_cell=specification.space.anchors_per_cell(),
                micro_batch=specification.micro_batch,
                measure_micro_batch=specification.detector.micro_batch is None,
                validation_images=specification.budget.validation_images,
                cache=cache or folder / "cache",
                seed=specification.sampler.seed,
                watch=specification.watch.enabled,
            ),
            space=specification.space,
            trials=specification.budget.trials,
            rungs=specification.rungs,
            seed=specification.sampler.seed,
            sampler=specification.sampler.name,
            startup_trials=specification.sampler.startup_trials,
            least_anchor_fit=specification.sampler.least_anchor_fit,
            most_divergence_risk=specification.sampler.most_divergence_risk,
            pruner=specification.pruner.name,
            reduction_factor=specification.pruner.reduction_factor,
            derived=specification.derived,
        )

    @property
    def first_points(self) -> tuple[dict[str, Value], ...]:
        """What the first trials try before the sampler proposes: the reference, then what the data suggests."""
        reference = self.space.reference()
        derived = self.space.nearest(self.derived or {})
        return (reference,) if derived == reference else (reference, derived)

    @property
    def budget_images(self) -> int:
        return self.rungs[-1]

    def make_sampler(
        self, trial: int, common: optuna.search_space.IntersectionSearchSpace | None = None, *, refused: int = 0
    ) -> optuna.samplers.BaseSampler:
        """The sampler that proposes that trial; so many before it were refused, and are no start-up trials."""
        startup = self.startup_trials + refused
        return make_sampler(self.sampler, study_seed=self.seed, trial=trial, startup_trials=startup, common=common)

    def make_pruner(self) -> optuna.pruners.BasePruner:
        return make_pruner(self.pruner, rungs=self.rungs, factor=self.reduction_factor)

    def trial_directory(self, trial: int) -> Path:
        """Where the checkpoints of a trial lie. Only the best trial's stay when the trial is over."""
        return self.folder / "trials" / self.study / f"{trial:05d}"

    def kept_trials(self) -> dict[int, Path]:
        """The trials that this machine keeps a directory of, by number."""
        found = (self.folder / "trials" / self.study).glob("[0-9]*")
        return {int(directory.name): directory for directory in found if directory.name.isdecimal()}

    def log_file(self, name: str) -> Path:
        return self.folder / "logs" / f"{name}.log"


def sources_of(data: Data) -> tuple[DataSource, DataSource | None]:
    """Training and validation data as the detector reads them; None where they are to be split off.

    Raises:
        DataError: no layout, or several, fit the folder.
    """
    if data.folder is not None:
        return find_sources(data.folder)
    if data.train is None:
        raise ConfigError("data: give either folder, or train with images and annotations")
    return data.train.source(), data.validation.source() if data.validation else None
