"""Examines a study's data before any GPU time: what is wrong with it, how anchors fit, what follows for the space.

Seconds, and no Keras. What `launch` would refuse is a diagnostic of level error here, all of it at once.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from detector.config import Canvas, ConfigError, StepShape
from detector.data.dataset import Dataset, most_boxes
from detector.data.formats.annotation import DataError
from detector.data.survey import Survey, survey_pair
from detector.weight_files.starting_point import starting_point
from search.doctor.anchor_advice import AnchorAdvice, advise, check_anchors, proposed_space
from search.doctor.box_checks import check_boxes
from search.doctor.canvas_checks import check_canvas, needed_counts
from search.doctor.class_checks import check_classes
from search.doctor.diagnostic import Diagnostic, Level, worst_first
from search.doctor.file_checks import check_defects, check_files
from search.doctor.rate_advice import proposed_rates, rate_lines
from search.doctor.remark_checks import check_remarks, check_rest
from search.doctor.size_checks import check_sizes
from search.doctor.space_checks import check_space
from search.policy.derived_point import canvas_boxes
from search.report.plain import plain
from search.study.canvas import canvas_for
from search.study.specification import Specification, budgeted
from spaces.parameters import Parameter
from spaces.section import write_parameter


@dataclass(frozen=True, slots=True, kw_only=True)
class TheirFindings:
    """What was found in a configuration of another framework, on the same data."""

    title: str  # its file and framework
    findings: tuple[Diagnostic, ...]  # worst first, in their keys
    canvas: Canvas  # on which a study would train it


Look = Callable[[Dataset], TheirFindings]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Diagnosis:
    """What the doctor found. Without usable data there are diagnostics only."""

    study: str
    diagnostics: tuple[Diagnostic, ...]  # worst first
    train: Dataset | None = None
    validation: Dataset | None = None
    held_out: bool = False  # validation was split off the training data
    canvas: Canvas | None = None
    anchors: AnchorAdvice | None = None
    space: dict[str, Parameter] | None = None  # proposed ranges of anchors and learning rates
    detector: dict[str, int] | None = None  # proposed counts, where the densest image needs more
    rates: tuple[str, ...] = ()  # what the proposed learning rates are at each batch size, in words
    theirs: TheirFindings | None = None

    @property
    def has_errors(self) -> bool:
        return any(each.level is Level.ERROR for each in self.all_findings)

    @property
    def all_findings(self) -> tuple[Diagnostic, ...]:
        """Those in a file of theirs before those in data and study."""
        return (*(self.theirs.findings if self.theirs else ()), *self.diagnostics)

    def to_json(self) -> dict[str, Any]:
        """What programs read; a figure of a group of boxes that is empty is null."""
        anchors = self.anchors.fitted if self.anchors else {}
        document = {
            "study": self.study,
            "data": {
                name: dataset and {"images": len(dataset.images), "boxes": box_count(dataset)}
                for name, dataset in (("training", self.train), ("validation", self.validation))
            },
            "classes": self.train.classes if self.train else (),
            "canvas": str(self.canvas) if self.canvas else None,
            "findings": [_json_of(each) for each in self.diagnostics],
            "anchors": {name: {**plain(f.anchors), "values": f.values, "fit": f.fit} for name, f in anchors.items()},
            "space": {name: write_parameter(parameter) for name, parameter in (self.space or {}).items()},
            "detector": self.detector or {},
        }
        if self.theirs is not None:
            document["from"] = {
                "file": self.theirs.title, "findings": [_json_of(each) for each in self.theirs.findings]
            }  # fmt: skip
        return plain(document, not_finite=lambda _: None)


def examine(specification: Specification, look: Look | None = None) -> Diagnosis:
    """The diagnosis of a study's data. Trouble is a diagnostic, not an exception.

    `look` finds more in usable training data, and says the canvas on which all is judged; what it raises goes on.
    """
    try:
        train, validation = specification.data.sources()
    except DataError as error:
        return refused(specification.name, error, name="no-dataset")
    share, seed = specification.data.validation_share, specification.sampler.seed
    survey = survey_pair(train, validation, share=share, seed=seed)
    theirs = look(survey.train) if look and survey.train else None
    canvas = theirs.canvas if theirs else _canvas(specification, survey)
    data = specification.data
    found = [*check_defects(survey, data), *check_files(survey, canvas, data)]
    if survey.train is None or survey.validation is None or canvas is None:
        return Diagnosis(study=specification.name, diagnostics=worst_first(found), theirs=theirs)
    found += check_rest(specification.data.folder)
    found += check_remarks([survey.train] if survey.held_out else [survey.train, survey.validation])
    found += check_boxes(survey.train, survey.validation)
    found += check_classes(survey.train, survey.validation)
    found += _check_numbers(specification, survey.train, survey.validation)
    shape = _shape(specification, survey.train, canvas)
    found += check_canvas(survey.train, survey.validation, canvas, shape)
    advice = advise(canvas_boxes(survey.train, canvas), specification.space, seed=seed)
    found += check_anchors(advice, specification.space, seed=seed)
    rates = proposed_rates(specification.space, start=starting_point(specification.detector.weights))
    return Diagnosis(
        study=specification.name,
        diagnostics=worst_first(found),
        train=survey.train,
        validation=survey.validation,
        held_out=survey.held_out,
        canvas=canvas,
        anchors=advice,
        space=proposed_space(advice, specification.space) | rates,
        detector=needed_counts(survey.train, shape),
        rates=tuple(rate_lines(specification.space, rates)),
        theirs=theirs,
    )


def refused(study: str, error: ConfigError, *, name: str = "study-file") -> Diagnosis:
    """The diagnosis where nothing can be read at all."""
    return Diagnosis(study=study, diagnostics=(_unusable(error, name=name),))


def box_count(dataset: Dataset) -> int:
    """How many boxes there are to train on."""
    return sum(len(image.training_boxes) for image in dataset.images)


def _json_of(diagnostic: Diagnostic) -> dict[str, Any]:
    """The diagnostic by name; programs read its level as `severity`."""
    return {"severity" if key == "level" else key: value for key, value in plain(diagnostic).items()}


def _check_numbers(specification: Specification, train: Dataset, validation: Dataset) -> list[Diagnostic]:
    """What is to be said of the study's own numbers, its budget worked out from the data."""
    try:
        settled = budgeted(specification, training_images=len(train.images))
    except ConfigError as error:
        return [_unusable(error, name="study-file")]
    sizes = check_sizes(settled, training_images=len(train.images), validation_images=len(validation.images))
    return [*check_space(settled, training_images=len(train.images)), *sizes]


def _unusable(error: ConfigError, *, name: str) -> Diagnostic:
    return Diagnostic(name=name, level=Level.ERROR, message=str(error), advice="correct what the message names")


def _canvas(specification: Specification, survey: Survey) -> Canvas | None:
    if specification.detector.canvas is not None or survey.train is None:
        return specification.detector.canvas
    sizes_px = [(image.height_px, image.width_px) for image in survey.train.images]
    return canvas_for(sizes_px, specification.detector.long_side_px)


def _shape(specification: Specification, train: Dataset, canvas: Canvas) -> StepShape:
    return StepShape.for_detector(
        replace(specification.detector, canvas=canvas).detector(),
        anchors_per_cell=specification.anchors_per_cell,
        boxes_per_image=most_boxes(train),
        classes=len(train.classes),
        micro_batch=specification.micro_batch,
    )
