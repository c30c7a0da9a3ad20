"""A launch from a configuration of another framework: what trial 0 is, and what is to be said of it before."""

from dataclasses import dataclass
from pathlib import Path

from detector.config import BackboneName, DetectorSettings
from search.doctor.diagnosis_text import diagnostic_lines
from search.doctor.diagnostic import Level
from search.imports.importing import Import, Source, import_onto, imported_section
from search.study.canvas import parse_canvas
from search.study.first_launch import dataset_specification
from search.study.imported_section import ImportedSection
from search.study.study_file import Options
from search.terminal import PlainConsole


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedTrial:
    """What the study file has of it."""

    section: ImportedSection
    canvas: str
    backbone: BackboneName | None  # None: none like theirs is here
    frozen_stages: int


def imported_trial(source: Source, data: Path, options: Options, console: PlainConsole) -> ImportedTrial:
    """Trial 0 on that data, after everything about it was printed. What is wrong with it doesn't keep it from training:
    that it fails is what one wants to see, and to see mended.

    Raises:
        ConfigError: the data or the file can't be used, or nothing sensible can be trained of it.
    """
    specification = dataset_specification(data)
    train, _ = specification.data.load(seed=options.seed or specification.sampler.seed)
    found = import_onto(source, train, canvas=None if options.canvas is None else parse_canvas(options.canvas))
    backbone = found.imported.backbone.name if options.backbone is None else BackboneName(options.backbone)
    _tell(found, source, backbone or DetectorSettings().backbone, console)
    stages = min(max(found.imported.frozen_stages.value, 0), 5)
    return ImportedTrial(
        section=imported_section(found), canvas=str(found.canvas), backbone=backbone, frozen_stages=stages
    )


def _tell(found: Import, source: Source, backbone: BackboneName, console: PlainConsole) -> None:
    for each in found.findings:
        console.print(diagnostic_lines(each))
    errors = sum(each.level is Level.ERROR for each in found.findings)
    fate = f"although {errors} of these findings are errors" if errors else "as it is"
    console.print(
        f"trial 0 is {source.file} ({found.imported.framework.full_name}), {fate}: "
        f"{found.zero.hyperparameters.batch_size} images a batch at a rate of "
        f"{found.zero.hyperparameters.learning_rate:.3g}, on a canvas of {found.canvas}, with {backbone}; its schedule "
        "is kept in parts of the study's budget"
    )
