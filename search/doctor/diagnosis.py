"""Examines a study's data before any GPU time: what is wrong with it, how anchors fit, what follows for the space.

Seconds, and no Keras. What `launch` would refuse is a finding of severity error here, all of it at once.
"""

from dataclasses import dataclass, replace
from typing import Any

from detector.config import Canvas, ConfigError, StepShape
from detector.data.dataset import Dataset, most_boxes
from detector.data.formats.annotation import DataError
from detector.data.survey import Survey, survey_pair
from search.doctor.anchor_advice import AnchorAdvice, advise, anchor_findings, proposed_space
from search.doctor.box_findings import box_findings, canvas_findings, needed_counts
from search.doctor.file_findings import defect_findings, file_findings
from search.doctor.finding import Finding, Severity, worst_first
from search.doctor.rate_advice import proposed_rates, rate_lines
from search.doctor.space_findings import space_findings
from search.plan import sources_of
from search.policy.derived_point import canvas_boxes
from search.report.plain import plain
from search.study.canvas import canvas_for
from search.study.specification import Specification
from spaces.parameters import Parameter
from spaces.section import write_parameter


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Diagnosis:
    """What the doctor found. Without usable data there are findings only."""

    study: str
    findings: tuple[Finding, ...]  # worst first
    train: Dataset | None = None
    validation: Dataset | None = None
    held_out: bool = False  # validation was split off the training data
    canvas: Canvas | None = None
    anchors: AnchorAdvice | None = None
    space: dict[str, Parameter] | None = None  # proposed ranges of anchors and learning rates
    detector: dict[str, int] | None = None  # proposed counts, where the densest image needs more
    rates: tuple[str, ...] = ()  # what the proposed learning rates are at each batch size, in words

    @property
    def has_errors(self) -> bool:
        return any(finding.severity is Severity.ERROR for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """What programs read; a figure of a group of boxes that is empty is null."""
        anchors = self.anchors.fitted if self.anchors else {}
        document = {
            "study": self.study,
            "data": {
                name: dataset and {"images": len(dataset.images), "boxes": boxes_of(dataset)}
                for name, dataset in (("training", self.train), ("validation", self.validation))
            },
            "classes": self.train.classes if self.train else (),
            "canvas": str(self.canvas) if self.canvas else None,
            "findings": self.findings,
            "anchors": {name: {**plain(f.anchors), "values": f.values, "fit": f.fit} for name, f in anchors.items()},
            "space": {name: write_parameter(parameter) for name, parameter in (self.space or {}).items()},
            "detector": self.detector or {},
        }
        return plain(document, not_finite=lambda _: None)


def examine(specification: Specification) -> Diagnosis:
    """The diagnosis of a study's data. Trouble is a finding, not an exception."""
    try:
        train, validation = sources_of(specification.data)
    except DataError as error:
        return refused(specification.name, error, name="no-dataset")
    share, seed = specification.data.validation_share, specification.sampler.seed
    survey = survey_pair(train, validation, share=share, seed=seed)
    canvas = _canvas(specification, survey)
    findings = [*defect_findings(survey.defects), *file_findings(survey, canvas)]
    if survey.train is None or survey.validation is None or canvas is None:
        return Diagnosis(study=specification.name, findings=worst_first(findings))
    findings += box_findings(survey.train, survey.validation)
    findings += space_findings(specification, training_images=len(survey.train.images))
    shape = _shape(specification, survey.train, canvas)
    findings += canvas_findings(survey.train, survey.validation, canvas, shape)
    advice = advise(canvas_boxes(survey.train, canvas), specification.space, seed=seed)
    findings += anchor_findings(advice)
    rates = proposed_rates(specification.space, from_scratch=specification.detector.weights == "none")
    return Diagnosis(
        study=specification.name,
        findings=worst_first(findings),
        train=survey.train,
        validation=survey.validation,
        held_out=survey.held_out,
        canvas=canvas,
        anchors=advice,
        space=proposed_space(advice, specification.space) | rates,
        detector=needed_counts(survey.train, shape),
        rates=tuple(rate_lines(specification.space, rates)),
    )


def refused(study: str, error: ConfigError, *, name: str = "study-file") -> Diagnosis:
    """The diagnosis where nothing can be read at all."""
    finding = Finding(name=name, severity=Severity.ERROR, message=str(error), advice="correct what the message names")
    return Diagnosis(study=study, findings=(finding,))


def boxes_of(dataset: Dataset) -> int:
    """How many boxes there are to train on."""
    return sum(len(image.training_boxes) for image in dataset.images)


def _canvas(specification: Specification, survey: Survey) -> Canvas | None:
    if specification.detector.canvas is not None or survey.train is None:
        return specification.detector.canvas
    sizes_px = [(image.height_px, image.width_px) for image in survey.train.images]
    return canvas_for(sizes_px, specification.detector.long_side_px)


def _shape(specification: Specification, train: Dataset, canvas: Canvas) -> StepShape:
    return StepShape.for_detector(
        replace(specification.detector, canvas=canvas).detector(),
        anchors_per_cell=specification.space.anchors_per_cell(),
        boxes_per_image=most_boxes(train),
        classes=len(train.classes),
        micro_batch=specification.micro_batch,
    )
