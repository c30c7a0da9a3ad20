"""What a worker must know of a study: the specification, worked out and checked once, and where things lie here."""

from dataclasses import dataclass
from pathlib import Path

from detector.config import ConfigError
from detector.setup import Setup
from search.study.specification import Specification, specification_from_json
from spaces.faster_rcnn import Space
from spaces.parameters import Value
from storage.study import StoredStudy, read_specification


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One study on one machine."""

    specification: Specification
    setup: Setup  # of its trainers
    folder: Path  # where this machine keeps checkpoints, caches and logs

    @classmethod
    def of(cls, specification: Specification, folder: Path, *, cache: Path | None = None) -> "Plan":
        """The plan of a specification whose canvas and budget are settled. Reads no data, only the folder's layout.

        Caches lie below `folder` too, unless they have a place of their own.

        Raises:
            ConfigError: something is still `auto`, or the folder holds no dataset.
        """
        train, validation = specification.data.sources()
        setup = Setup(
            train=train,
            validation=validation,
            validation_share=specification.data.validation_share,
            detector=specification.detector.detector(),
            anchors_per_cell=specification.anchors_per_cell,
            micro_batch=specification.micro_batch,
            measure_micro_batch=specification.detector.micro_batch is None,
            validation_images=specification.budget.validation_images,
            cache=cache or folder / "cache",
            seed=specification.sampler.seed,
            watch=specification.watch.enabled,
        )
        return cls(specification=specification, setup=setup, folder=folder)

    @property
    def study(self) -> str:
        return self.specification.name

    @property
    def space(self) -> Space:
        return self.specification.space

    @property
    def rungs(self) -> tuple[int, ...]:
        """The image counts at which trials are compared, ascending; the last is the whole budget."""
        return self.specification.rungs

    @property
    def first_points(self) -> tuple[dict[str, Value], ...]:
        """What the first trials try before the sampler proposes: the reference or what was imported, what the data
        suggests, what the user named; each once.
        """
        specification = self.specification
        derived = (self.space.nearest(specification.derived or {}),) if specification.has_derived_trial else ()
        points: tuple[dict[str, Value], ...] = (specification.first_point, *derived)
        for point in map(self.space.nearest, specification.first_points):
            points += () if point in points else (point,)
        return points

    def trial_directory(self, trial: int) -> Path:
        """Where the checkpoints of a trial lie. Only the best trial's stay when the trial is over."""
        return trials_folder(self.folder, self.study) / f"{trial:05d}"

    def kept_trials(self) -> dict[int, Path]:
        """The trials that this machine keeps a directory of, by number."""
        found = trials_folder(self.folder, self.study).glob("[0-9]*")
        return {int(directory.name): directory for directory in found if directory.name.isdecimal()}

    def log_file(self, name: str) -> Path:
        return logs_folder(self.folder) / f"{name}.log"


def trials_folder(folder: Path, study: str) -> Path:
    """Where a study's checkpoints lie."""
    return folder / "trials" / study


def logs_folder(folder: Path) -> Path:
    """Where workers and trainers write their logs."""
    return folder / "logs"


def as_launched(study: StoredStudy, *, storage: str) -> Specification:
    """The specification in the database: a study file may have changed since, and leaves the canvas to the data.

    Raises:
        ConfigError: there is none, because nothing was launched.
    """
    stored = read_specification(study)
    if stored is None:
        raise ConfigError(f"study {study.name!r} was never launched by frcnn-search; launch it first")
    return specification_from_json(stored, storage=storage)
