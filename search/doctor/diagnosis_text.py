"""A diagnosis as text: the diagnostics, the fit of the anchors, and the proposed space."""

import json
import math
from collections import Counter
from collections.abc import Iterator

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from detector.object_size import MEANING
from search.doctor.anchor_advice import FittedAnchors
from search.doctor.diagnosis import Diagnosis, box_count
from search.doctor.diagnostic import Diagnostic, Level
from search.study.study_text import parameter_line, setting_line
from spaces.anchor_fit import Shares
from spaces.parameters import Parameter
from spaces.section import write_parameter

MOST_CLASSES = 10  # listed in the table; --json has all
COLOURS = {Level.ERROR: "bold red", Level.WARNING: "yellow", Level.NOTE: "cyan"}


def diagnosis_json(diagnosis: Diagnosis) -> str:
    """One JSON object."""
    return json.dumps(diagnosis.to_json(), indent=2, allow_nan=False)


def diagnosis_report(diagnosis: Diagnosis) -> RenderableType:
    """Everything that a reader should see, worst first."""
    parts: list[RenderableType] = [_opening(diagnosis)]
    if diagnosis.theirs is not None:
        parts.append(Text(f"\n{diagnosis.theirs.title}, on this data:"))
        parts += [diagnostic_lines(each) for each in diagnosis.theirs.findings]
        parts.append(Text("\nthe data and the study:"))
    parts += [diagnostic_lines(each) for each in diagnosis.diagnostics]
    if diagnosis.anchors is not None:
        parts.append(fit_table(diagnosis.anchors.fitted))
    if diagnosis.space:
        lines = "\n".join((*space_lines(diagnosis.space), *detector_lines(diagnosis.detector or {}), *diagnosis.rates))
        parts.append(Text(f"proposed for this data (--write-space puts it into the file):\n{lines}"))
    parts.append(_closing(diagnosis))
    return Group(*parts)


def space_lines(space: dict[str, Parameter]) -> list[str]:
    """The space section of a study file."""
    return ["space:", *(parameter_line(name, write_parameter(parameter)) for name, parameter in space.items())]


def detector_lines(counts: dict[str, int]) -> list[str]:
    """The lines of a study file's detector section."""
    return ["detector:", *(setting_line("detector", key, count) for key, count in counts.items())] if counts else []


def fit_table(fitted: dict[str, FittedAnchors]) -> Table:
    """One row for each set of anchors, whole, by the size of the objects and by class."""
    table = Table(
        box=SIMPLE_HEAD, padding=(0, 1, 0, 0), title="boxes by the best IoU of any anchor", title_justify="left"
    )
    table.add_column("anchors", no_wrap=True)
    table.add_column("", overflow="ellipsis", no_wrap=True, max_width=16)
    for heading in ("boxes", "≥0.7", "≥0.5", "<0.3", "mean", "positive"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, each in fitted.items():
        for index, (group, shares) in enumerate(_groups(each)):
            heading = f"{name} ({each.fit.per_cell})" if index == 0 else ""
            positives = f"{each.fit.positives_per_image:.1f}" if index == 0 else ""
            table.add_row(heading, group, *_figures(shares), positives)
        table.add_section()
    table.caption = (
        "in brackets: anchors per cell; positive: anchors labelled so in an image with boxes, on average\n"
        f"by size: {MEANING}"
    )
    table.caption_justify = "left"
    return table


def _groups(each: FittedAnchors) -> Iterator[tuple[str, Shares]]:
    yield "all", each.fit.whole
    for name, shares in each.fit.by_size.items():
        if shares.boxes:
            yield name, shares
    listed = sorted(each.fit.by_class.items(), key=lambda item: -item[1].boxes)[:MOST_CLASSES]
    if len(each.fit.by_class) > 1:
        yield from ((name, shares) for name, shares in listed if shares.boxes)


def _figures(shares: Shares) -> tuple[str, ...]:
    percent = (f"{value:.0%}" for value in (shares.positive, shares.half, shares.negative))
    mean = "–" if math.isnan(shares.mean_iou) else f"{shares.mean_iou:.2f}"
    return (str(shares.boxes), *percent, mean)


def _opening(diagnosis: Diagnosis) -> Text:
    if diagnosis.train is None or diagnosis.validation is None:
        return Text(f"{diagnosis.study}: the data can't be used as it is")
    held_out = " (held out of the training data)" if diagnosis.held_out else ""
    return Text(
        f"{diagnosis.study}: {len(diagnosis.train.images)} training images with {box_count(diagnosis.train)} boxes of "
        f"{len(diagnosis.train.classes)} classes, {len(diagnosis.validation.images)} for validation{held_out}; "
        f"canvas {diagnosis.canvas}"
    )


def diagnostic_lines(diagnostic: Diagnostic) -> Text:
    """What was found, examples of it, and what to do."""
    text = Text()
    text.append(f"{diagnostic.level.value:7} ", style=COLOURS[diagnostic.level])
    text.append(f"{diagnostic.name}: {diagnostic.message}\n")
    for example in diagnostic.examples:
        text.append(f"          {example}\n", style="dim")
    text.append(f"        → {diagnostic.advice}")
    return text


def _closing(diagnosis: Diagnosis) -> Text:
    counts = Counter(each.level for each in diagnosis.all_findings)
    return Text(", ".join(f"{counts[level]} {level.value}{'' if counts[level] == 1 else 's'}" for level in Level))
