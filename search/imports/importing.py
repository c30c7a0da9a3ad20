"""A file of another framework, looked at against a dataset: what it wishes, what trial 0 is, what is wrong with it."""

from dataclasses import dataclass
from pathlib import Path

from detector.config import Canvas
from detector.data.dataset import Dataset
from search.doctor.diagnosis import TheirFindings
from search.doctor.diagnostic import Level
from search.imports.framework import Framework
from search.imports.imported import Imported
from search.imports.lint.finding import Finding, shown
from search.imports.lint.ground import Ground
from search.imports.lint.lint import lint
from search.imports.recognition import read_imported
from search.imports.their_canvas import anchor_scale, their_canvas
from search.imports.trial_zero import TrialZero, trial_zero
from search.policy.derived_point import canvas_boxes
from search.study.canvas import canvas_for
from search.study.imported_section import ImportedKey, ImportedMend, ImportedSection

#: Where a parameter of the space stands among the wishes.
PARAMETERS: dict[str, str] = {
    "anchor_base": "sizes_px",
    "anchor_scales": "sizes_px",
    "anchor_ratio_centre": "ratios",
    "anchor_ratios": "ratios",
    "optimizer": "optimizer",
    "lr_per_16": "learning_rate",
    "adam_lr_per_16": "learning_rate",
    "rpn_lr_factor": "rpn_lr_factor",
    "momentum": "momentum",
    "weight_decay": "weight_decay",
    "warmup_fraction": "warmup_iterations",
    "decays": "milestones",
    "decay_first": "milestones",
    "decay_factor": "decay_factor",
    "clip_norm": "clip_norm",
    "batch_size": "batch_size",
    "augmentation_flip_probability": "flip_probability",
    "rpn_positive_iou": "rpn_positive_iou",
    "rpn_negative_iou": "rpn_negative_iou",
    "rpn_positive_fraction": "rpn_positive_fraction",
    "roi_positive_iou": "roi_positive_iou",
    "roi_positive_fraction": "roi_positive_fraction",
    "proposal_nms_iou": "proposal_nms_iou",
    "detection_nms_iou": "detection_nms_iou",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What the command line says of a file of theirs."""

    file: Path
    framework: Framework | None = None  # None: by its content
    gpus: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """One configuration on one dataset."""

    imported: Imported
    zero: TrialZero
    canvas: Canvas  # of the study
    scale: float  # of images on it, in those of their training
    images: int  # of the training data
    findings: tuple[Finding, ...]  # worst first


def import_onto(source: Source, train: Dataset, *, canvas: Canvas | None) -> Import:
    """The import on the training data; without a canvas, on theirs.

    Raises:
        ConfigError: the file can't be read, or nothing sensible can be trained of it.
    """
    imported = read_imported(source.file, framework=source.framework, gpus=source.gpus, images=len(train.images))
    sizes_px = [(image.height_px, image.width_px) for image in train.images]
    resize = imported.resize.value if imported.resize else None
    canvas = canvas or (their_canvas(resize, sizes_px) if resize else canvas_for(sizes_px))
    scale = anchor_scale(resize, sizes_px, canvas) if resize else 1.0
    zero = trial_zero(imported, scale=scale)
    boxes = canvas_boxes(train, canvas)
    ground = Ground(images=len(train.images), boxes=boxes, anchors=zero.hyperparameters.anchors, scale=scale)
    return Import(
        imported=imported,
        zero=zero,
        canvas=canvas,
        scale=scale,
        images=len(train.images),
        findings=lint(imported, zero, ground),
    )


def their_findings(source: Source, train: Dataset, *, canvas: Canvas | None) -> TheirFindings:
    """What the doctor says of the file; raises as `import_onto`."""
    found = import_onto(source, train, canvas=canvas)
    title = f"{source.file} ({found.imported.framework.full_name})"
    return TheirFindings(title=title, findings=found.findings, canvas=found.canvas)


def imported_section(found: Import) -> ImportedSection:
    """The part of a study file that makes this trial 0, with their keys by the parameters' names."""
    imported = found.imported
    wishes = {name: getattr(imported, field) for name, field in PARAMETERS.items()}
    keys = {
        name: ImportedKey(key=wish.key, line=wish.line, value=shown(wish.value))
        for name, wish in wishes.items()
        if wish is not None
    }
    name = plain_file_name(imported.source)
    return ImportedSection(
        file=name,
        framework=imported.framework.full_name,
        hyperparameters=found.zero.hyperparameters,
        gpus=imported.gpus,
        images=found.images,
        scale=found.scale,
        findings=tuple(
            f"{each.level} {each.name}: {each.message}; {each.advice}"
            for each in found.findings
            if each.level is not Level.NOTE
        ),
        mends=tuple(
            ImportedMend(finding=each.name, wish=mend.wish, value=mend.value)
            for each in found.findings
            for mend in each.mends
        ),
        keys=keys,
    )


def plain_file_name(source: str) -> str:
    """The file's name without its folder, as a study file can keep it."""
    return "".join(character for character in Path(source).name if character.isprintable())[:100] or "a file"
