"""A study as checked values: what its file says, and what the database keeps as JSON, without the storage.

`None` stands for `auto`: worked out from the data (`resolved`) or from the detector's canvas.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    TypeAdapter,
    WrapSerializer,
)

from detector.config import (
    ConfigError,
    Hyperparameters,
    require,
)
from search.study.budget import DEFAULT_TRIALS, Budget, automatic_images
from search.study.canvas import canvas_for
from search.study.data_section import Data
from search.study.detector_section import KNOWN_WEIGHTS, DetectorSection, auto_for_none, none_for_auto
from search.study.fields import MOST_NAME, STRICT, Positive, absolute_path
from search.study.imported_section import ImportedSection
from search.study.policy_section import Pruner, Sampler
from search.study.problems import validate
from search.study.storage_url import absolute_storage, check_storage
from spaces.faster_rcnn import Space
from spaces.parameters import Value
from spaces.point import parameters_of
from spaces.section import parse as parse_space
from spaces.section import write as write_space


def _parse_space(value: object) -> Space:
    if isinstance(value, Space):
        return value
    if not isinstance(value, dict):
        raise ConfigError(f"must be a section of `parameter: range` lines, but is {value!r}")
    return parse_space(value)


def _parse_derived(value: object) -> object:
    return None if value == "auto" else {} if value == "none" else value


def _write_derived(values: dict[str, Value] | None) -> Any:
    return "auto" if values is None else values or "none"


Storage = Annotated[str, AfterValidator(check_storage)]
SpaceSection = Annotated[Space, PlainValidator(_parse_space), PlainSerializer(write_space)]
Derived = Annotated[dict[str, Value] | None, BeforeValidator(_parse_derived), PlainSerializer(_write_derived)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """The watch over a trial's own losses, which needs no other trial."""

    enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Specification:
    """A study. Paths are absolute once it was loaded; `storage` is never shown, for it may hold a password."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    name: Annotated[str, Field(pattern=rf"^[A-Za-z0-9][A-Za-z0-9._ -]{{0,{MOST_NAME - 1}}}$")]
    storage: Storage = field(repr=False)
    workers: Positive = 1
    trainer: Literal["detector", "analytic"] = "detector"  # analytic: a closed-form learning curve, for tests
    data: Data
    detector: Annotated[DetectorSection, BeforeValidator(none_for_auto), WrapSerializer(auto_for_none)] = field(
        default_factory=DetectorSection
    )
    space: SpaceSection = field(default_factory=Space.default)
    imported: ImportedSection | None = None  # what trial 0 trains in place of the reference
    derived: Derived = None  # what trial 1 has in place of the reference's values; empty: no such trial
    first_points: tuple[dict[str, Value], ...] = ()  # after trials 0 and 1; what one leaves out is the reference's
    budget: Budget = field(default_factory=Budget)
    sampler: Sampler = field(default_factory=Sampler)
    pruner: Pruner = field(default_factory=Pruner)
    watch: Watch = field(default_factory=Watch)

    def __post_init__(self) -> None:
        if self.budget.images is not None:
            _ = self.rungs
        self._check_points()
        micro_batch = self.detector.micro_batch
        if micro_batch is not None:
            bad = [size for size in (*self.space.batch_sizes(), *self._imported_batch) if size % micro_batch]
            require(
                not bad,
                f"detector.micro_batch must divide every space.batch_size, but {micro_batch} does not divide {bad}; "
                f"{self.space.micro_batch(further=self._imported_batch)} would",
            )

    @property
    def _imported_batch(self) -> tuple[int, ...]:
        return (self.imported.hyperparameters.batch_size,) if self.imported else ()

    def _check_points(self) -> None:
        points = {"derived": self.derived or {}}
        points |= {f"first_points[{number}]": point for number, point in enumerate(self.first_points)}
        for place, point in points.items():
            for name, value in point.items():
                parameter = self.space.parameters.get(name)
                if parameter is None:
                    raise ConfigError(f"{place}.{name} is no parameter of this space; remove it")
                require(parameter.contains(value), f"{place}.{name} must be in {parameter}, but is {value!r}")

    def absolute(self, folder: Path) -> "Specification":
        """The same with relative paths, in data, weights and storage, taken from the folder."""
        data, detector = self.data.absolute(folder), self.detector
        if detector.weights not in KNOWN_WEIGHTS:
            detector = replace(detector, weights=str(absolute_path(Path(detector.weights), folder)))
        storage = absolute_storage(self.storage, folder)
        return replace(self, data=data, detector=detector, storage=storage)

    @property
    def micro_batch(self) -> int:
        """Images of one forward pass; a batch is a multiple of it."""
        return self.detector.micro_batch or self.space.micro_batch(further=self._imported_batch)

    @property
    def anchors_per_cell(self) -> int:
        """The slots that the step needs: the most anchors at one cell that any trial has."""
        own = (self.imported.hyperparameters.anchors.per_cell,) if self.imported else ()
        return max((self.space.anchors_per_cell(), *own))

    @property
    def first_point(self) -> dict[str, Value]:
        """The parameters of trial 0: the reference's, or those nearest to what was imported."""
        if self.imported is None:
            return self.space.reference()
        return self.space.nearest(parameters_of(self.imported.hyperparameters))

    @property
    def has_derived_trial(self) -> bool:
        """Whether the data suggests a trial 1: trial 0 is not that already."""
        if not self.derived:
            return False
        point = self.space.nearest(self.derived)
        own = self.imported.hyperparameters if self.imported else self.space.configuration(self.first_point)
        return self.space.configuration(point) != own

    def hyperparameters(self, trial: int, values: Mapping[str, Value]) -> Hyperparameters:
        """What the trial of that number trains, by its parameters in Optuna. Trial 0 may be imported: then it is what
        was imported, which the space need not hold.

        Raises:
            ConfigError: the values are no point of the space.
        """
        if self._is_imported(trial, values) and self.imported is not None:
            return self.imported.hyperparameters
        return self.space.configuration(values)

    def point(self, trial: int, values: Mapping[str, Value]) -> dict[str, Value]:
        """Every parameter's value in that trial, fixed ones included; of an imported one its own, inside or not."""
        point = {**self.space.fixed(), **values}
        if self._is_imported(trial, values) and self.imported is not None:
            own = parameters_of(self.imported.hyperparameters)
            point |= {name: own[name] for name in point if name in own}
        return point

    def _is_imported(self, trial: int, values: Mapping[str, Value]) -> bool:
        """Somebody may have enqueued other values before the launch: those are their trial 0."""
        if trial != 0 or self.imported is None:
            return False
        return all(values.get(name) == value for name, value in self.first_point.items())

    @property
    def rungs(self) -> tuple[int, ...]:
        """Images at which a trial is evaluated, the whole budget last; needs `budget.images`."""
        return self.budget.rung_images(self.pruner.factor, pauses=self.pruner.pauses)

    @property
    def trials(self) -> int:
        """How many trials the study may begin."""
        if self.budget.trials is not None:
            return self.budget.trials
        images = self.budget.all_images
        return DEFAULT_TRIALS if images is None else math.ceil(images / self.rungs[0])


ADAPTER: TypeAdapter[Specification] = TypeAdapter(Specification)


def specification_from(document: object, source: str) -> Specification:
    """The specification that the document describes; `source` names it in messages.

    Raises:
        StudyFileError: one line for each problem.
    """
    return validate(ADAPTER, Specification, document, source)


def specification_to_json(specification: Specification) -> dict[str, Any]:
    """Plain JSON values for the database: everything but the storage."""
    document: dict[str, Any] = ADAPTER.dump_python(specification, mode="json")
    del document["storage"]
    return document


def specification_from_json(document: dict[str, Any], *, storage: str) -> Specification:
    """The specification that `specification_to_json` wrote, as it was.

    Raises:
        StudyFileError: another version wrote it, or somebody changed it.
    """
    return specification_from({**document, "storage": storage}, source="the stored study")


def resolved(
    specification: Specification, *, training_images: int, sizes_px: Sequence[tuple[int, int]]
) -> Specification:
    """The specification with an automatic canvas and budget worked out from the data.

    `sizes_px` are (height, width) of the images. What the user set stays as it is.

    Raises:
        ConfigError: the rungs do not fit the budget, or there is no image.
    """
    detector = specification.detector
    if detector.canvas is None:
        detector = replace(detector, canvas=canvas_for(sizes_px, detector.long_side_px))
    return budgeted(replace(specification, detector=detector), training_images=training_images)


def budgeted(specification: Specification, *, training_images: int) -> Specification:
    """The specification with an automatic budget worked out from the number of images.

    Raises:
        ConfigError: the rungs do not fit the budget.
    """
    budget = specification.budget
    images = budget.images or automatic_images(training_images)
    return replace(specification, budget=replace(budget, images=images))
