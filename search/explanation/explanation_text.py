"""Explanations as text for a terminal."""

import json
from collections.abc import Iterator
from textwrap import indent
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from search.explanation.cause_share import CauseShare
from search.explanation.confirmation import Answer, Confirmation
from search.explanation.effects.rate_boundary import RateBoundary, RatePoint
from search.explanation.neighbour import Neighbour
from search.explanation.repair import Repair
from search.explanation.study_edit import NewStudy
from search.explanation.study_explanation import StudyExplanation
from search.explanation.their_words import TheirWords
from search.explanation.trial_explanation import HealthFigure, TrialExplanation
from search.report.value_text import value_text
from search.terminal import PlainConsole

MOST_ROWS = 14  # of figures and of importances; --json has all
LONGEST_EVIDENCE = 600  # characters; a log's tail may be long


def explanation_json(explanation: StudyExplanation | TrialExplanation) -> str:
    """One JSON object (docs/explain.md says what its keys mean)."""
    return json.dumps(explanation.to_json(), indent=2, allow_nan=False)


def print_explanation(explanation: StudyExplanation | TrialExplanation, console: PlainConsole) -> None:
    """Print the report."""
    report = study_report(explanation) if isinstance(explanation, StudyExplanation) else trial_report(explanation)
    console.print(report)


def trial_report(explanation: TrialExplanation) -> RenderableType:
    """What happened, what should mend it, and the evidence."""
    parts: list[RenderableType] = [Text(explanation.verdict, style="bold")]
    if explanation.entry is not None:
        parts.append(Text(f"cause: {explanation.entry.cause}; {explanation.entry.because}"))
    if explanation.repair is not None:
        parts += [
            Text(),
            *_repair_lines("what should mend it" if explanation.record.failed else "what may help", explanation.repair),
            *_steps(explanation.new_study, explanation.repair),
        ]
    parts += _their_lines(explanation.theirs)
    parts += [Text(f"warning: {rule} {said}", style="yellow") for rule, said in explanation.record.warnings.items()]
    for other in explanation.alternatives:
        parts.append(Text(f"  or: {other.instruction} ({other.reason})", style="dim"))
        parts += _steps(explanation.new_study, other)
    if explanation.figures:
        parts.append(figures_table(explanation.figures))
    parts += [Text(f"{name}: {_evidence(value)}") for name, value in explanation.evidence.items()]
    if explanation.record.batch_images:
        parts.append(Text(f"images of the failing batch: {', '.join(explanation.record.batch_images)}"))
    if explanation.neighbour is not None:
        parts.append(neighbour_table(explanation.neighbour, failed=explanation.record.failed))
    return Group(*parts)


def study_report(explanation: StudyExplanation) -> RenderableType:
    """The causes, the boundaries, what mattered, and what to do."""
    parts: list[RenderableType] = [Text(headline(explanation), style="bold")]
    if explanation.not_trained:
        parts.append(Text(f"beside them, proposals that were not trained: {explanation.not_trained}"))
    if explanation.causes:
        parts.append(causes_table(explanation.causes))
        parts += [line for cause in explanation.causes for line in _cause_lines(cause, explanation.new_study)]
    if explanation.boundaries:
        parts.append(boundaries_table(explanation.boundaries))
    parts += _section("what mattered", explanation.mattered)
    if explanation.idle:
        parts += _section("what made no difference that these trials show", [", ".join(explanation.idle)])
    if explanation.importances.names:
        parts.append(importances_table(explanation))
    else:
        parts.append(Text(f"these trials ({explanation.importances.trials}) do not weigh parameters", style="dim"))
    if explanation.anchors is None:
        parts.append(Text(f"fit of the anchors: not told; {explanation.anchors_absent}", style="dim"))
    parts += _section("what to do next", explanation.next_steps)
    if explanation.space_yaml:
        parts.append(Text(explanation.space_yaml, no_wrap=True, overflow="ignore"))  # to be pasted
    return Group(*parts)


def confirmation_report(confirmation: Confirmation) -> RenderableType:
    """The answer of a replay, and both runs."""
    style = "bold green" if confirmation.answer is Answer.HOLDS else "bold yellow"
    return Text.assemble((str(confirmation.answer), style), f": {confirmation.sentence}")


def headline(explanation: StudyExplanation) -> str:
    """One sentence on the whole study."""
    if not explanation.ended:
        return f"{explanation.study}: no trial has ended yet"
    spent = sum(cause.images for cause in explanation.causes)
    share = f", with {spent / max(1, explanation.images):.0%} of all images" if explanation.failed else ""
    return f"{explanation.study}: {explanation.failed} of {explanation.ended} trials failed{share}"


def figures_table(figures: tuple[HealthFigure, ...]) -> Table:
    """Health figures at the end beside those at the look before."""
    table = Table(box=SIMPLE_HEAD, title="health figures where it ended", title_justify="left")
    table.add_column("figure")
    for heading in ("before", "at the end"):
        table.add_column(heading, justify="right")
    for figure in figures[:MOST_ROWS]:
        table.add_row(figure.name, value_text(figure.before), value_text(figure.at_end))
    return table


def neighbour_table(neighbour: Neighbour, *, failed: bool) -> Table:
    """The other trial and where this one differs from it."""
    which = "nearest healthy trial" if failed else "best trial"
    ap = "" if neighbour.ap is None else f", AP {neighbour.ap:.3f}"
    title = f"the {which}: {neighbour.trial}{ap}; it differs in"
    table = Table(box=SIMPLE_HEAD, title=title, title_justify="left")
    table.add_column("parameter")
    for heading in ("here", "there", "of its range"):
        table.add_column(heading, justify="right")
    for each in neighbour.differences[:MOST_ROWS]:
        table.add_row(each.parameter, value_text(each.here), value_text(each.there), f"{each.distance:.0%}")
    return table


def causes_table(causes: tuple[CauseShare, ...]) -> Table:
    """Causes by the share of failures that each explains."""
    table = Table(box=SIMPLE_HEAD, title="why trials failed", title_justify="left")
    table.add_column("cause")
    for heading in ("trials", "of failures", "of images"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("ended by")
    for each in causes:
        rules = ", ".join(f"{name} × {count}" for name, count in each.rules.items())
        shares = (f"{each.share_of_failures:.0%}", f"{each.share_of_images:.0%}")
        table.add_row(*map(Text, (each.cause, str(len(each.trials)), *shares, rules)))
    return table


def boundaries_table(boundaries: tuple[RateBoundary, ...]) -> Table:
    """The learning rates on both sides, by optimizer and batch size."""
    table = Table(box=SIMPLE_HEAD, title="peak learning rate", title_justify="left")
    table.add_column("optimizer")
    for heading in ("batch", "largest healthy", "smallest diverged", "healthy", "diverged"):
        table.add_column(heading, justify="right")
    for each in boundaries:
        sides = (_rate(each.largest_healthy), _rate(each.smallest_diverged))
        table.add_row(each.optimizer, str(each.batch_size), *sides, str(each.healthy), str(each.diverged))
    return table


def importances_table(explanation: StudyExplanation) -> Table:
    """Shares of the parameters in ending among the best and in not failing."""
    shares = explanation.importances
    title = f"importance of parameters over {shares.trials} trials (PED-ANOVA)"
    table = Table(box=SIMPLE_HEAD, title=title, title_justify="left")
    table.add_column("parameter")
    for heading in ("to be among the best", "not to fail"):
        table.add_column(heading, justify="right")
    for name in shares.names[:MOST_ROWS]:
        both = (each.get(name) for each in (shares.to_be_best, shares.not_to_fail))
        table.add_row(name, *("–" if share is None else f"{share:.0%}" for share in both))
    return table


def _cause_lines(cause: CauseShare, new_study: NewStudy) -> Iterator[Text]:
    yield Text(f"{cause.cause}: {cause.because}")
    if cause.repair is not None:
        yield Text(f"  e.g. trial {cause.example}: {cause.repair.instruction} ({cause.repair.reason})")
        yield from _steps(new_study, cause.repair)


def _repair_lines(heading: str, repair: Repair) -> Iterator[Text]:
    yield Text(f"{heading}: {repair.instruction}", style="bold green")
    yield Text(f"  {repair.reason}")


def _their_lines(theirs: TheirWords | None) -> Iterator[Text]:
    """The same in the keys of the file that trial 0 came from."""
    if theirs is None:
        return
    for change in theirs.changes:
        yield Text(f"  in {theirs.source}: {change.instruction}", style="bold green")
    if theirs.findings:
        yield Text(f"what was found in {theirs.source} before any training:")
    yield from (Text(f"- {finding}") for finding in theirs.findings)


def _steps(new_study: NewStudy, repair: Repair) -> Iterator[Text]:
    """How to begin the study that the repair needs, to be followed line by line; nothing where it needs none."""
    steps = new_study.steps(repair.study_edit)
    if steps:
        yield Text("  a changed study file needs a study of its own, so:")
    for number, step in enumerate(steps, start=1):
        yield Text(indent(f"{number}. {step}", "    "), no_wrap=True, overflow="ignore")  # to be pasted


def _section(heading: str, lines: Any) -> list[RenderableType]:
    return [Text(), Text(heading, style="bold"), *(Text(f"- {line}") for line in lines)] if lines else []


def _rate(point: RatePoint | None) -> str:
    return "–" if point is None else f"{point.rate:.3g} (trial {point.trial})"


def _evidence(value: float | str) -> str:
    return value_text(value)[-LONGEST_EVIDENCE:]
