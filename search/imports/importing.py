"""A file of another framework, looked at against a dataset: what it wishes, what trial 0 is, what is wrong with it."""

from dataclasses import dataclass
from pathlib import Path

from detector.config import Canvas
from detector.data.dataset import Dataset
from search.doctor.diagnosis import TheirFindings
from search.doctor.diagnostic import Diagnostic
from search.imports.framework import Framework
from search.imports.ground import Ground
from search.imports.imported import Imported
from search.imports.lint import lint
from search.imports.recognition import read_imported
from search.imports.their_canvas import anchor_scale, their_canvas
from search.imports.trial_zero import TrialZero, trial_zero
from search.policy.derived_point import canvas_boxes
from search.study.canvas import canvas_for


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
    findings: tuple[Diagnostic, ...]  # worst first


def import_onto(source: Source, train: Dataset, *, canvas: Canvas | None) -> Import:
    """The import on the training data; without a canvas, on theirs.

    Raises:
        ConfigError: the file can't be read, or nothing sensible can be trained of it.
    """
    imported = read_imported(source.file, framework=source.framework, gpus=source.gpus, images=len(train.images))
    sizes_px = [(image.height_px, image.width_px) for image in train.images]
    resize = imported.resize.value if imported.resize else None
    canvas = canvas or (their_canvas(resize, sizes_px) if resize else canvas_for(sizes_px))
    zero = trial_zero(imported, scale=anchor_scale(resize, sizes_px, canvas) if resize else 1.0)
    boxes = canvas_boxes(train, canvas)
    ground = Ground(images=len(train.images), boxes=boxes, anchors=zero.hyperparameters.anchors)
    return Import(imported=imported, zero=zero, canvas=canvas, findings=lint(imported, zero, ground))


def their_findings(source: Source, train: Dataset, *, canvas: Canvas | None) -> TheirFindings:
    """What the doctor says of the file; raises as `import_onto`."""
    found = import_onto(source, train, canvas=canvas)
    title = f"{source.file} ({found.imported.framework.full_name})"
    return TheirFindings(title=title, findings=found.findings, canvas=found.canvas)
