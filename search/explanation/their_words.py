"""Trial 0 of another framework's configuration in its own keys: what was found in the file, what to change."""

from collections.abc import Iterator
from dataclasses import dataclass

from detector.config import Anchors, ConfigError
from search.explanation.repair import Repair
from search.explanation.repair_choice import repaired
from search.report.trial_history import TrialHistory, TrialRecord
from search.report.value_text import value_text
from search.study.imported_section import ImportedSection
from spaces.faster_rcnn import ANCHOR_PARAMETERS
from spaces.parameters import Value, is_number


@dataclass(frozen=True, slots=True, kw_only=True)
class TheirChange:
    """One change of a repair, in their file."""

    parameter: str  # ours
    key: str  # theirs
    line: int | None  # None: the file doesn't have it, it is their framework's own value
    before: str
    after: str

    @property
    def instruction(self) -> str:
        """What to do, as one sentence."""
        where = f"line {self.line}" if self.line else "to be added"
        return f"set {self.key} ({where}) from {self.before} to {self.after}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TheirWords:
    """What is said of their file."""

    source: str  # its name and framework
    findings: tuple[str, ...]  # before any training, the worst first
    changes: tuple[TheirChange, ...]  # of the repair that comes first


def their_words(record: TrialRecord, history: TrialHistory, found: tuple[Repair, ...]) -> TheirWords | None:
    """What to say of the file that this trial came from; None where it came from none."""
    imported = history.specification.imported
    if imported is None or record.hyperparameters != imported.hyperparameters or record.number != 0:
        return None
    changes = tuple(_changes(record, history, imported, found[0])) if found else ()
    return TheirWords(source=str(imported), findings=imported.findings, changes=changes)


def _changes(
    record: TrialRecord, history: TrialHistory, imported: ImportedSection, repair: Repair
) -> Iterator[TheirChange]:
    """A change for each of the repair's values; anchors by the lists that come of them."""
    if repair.values.keys() & set(ANCHOR_PARAMETERS):
        yield from _anchor_changes(record, history, imported, repair)
        return
    for name, after in repair.values.items():
        before = record.point.get(name)
        if before is None or name not in imported.keys:
            continue
        own = imported.keys[name]
        yield TheirChange(
            parameter=name, key=own.key, line=own.line, before=own.value, after=_in_theirs(own.value, before, after)
        )


def _in_theirs(own: str, before: Value, after: Value) -> str:
    """Their value after the change: it grows as ours does, whatever its unit."""
    if not (is_number(before) and is_number(after)):
        return value_text(after)
    try:
        return value_text(float(own) * float(after) / float(before))
    except (ValueError, ZeroDivisionError):  # theirs is no number, or ours was none
        return value_text(after)


def _anchor_changes(
    record: TrialRecord, history: TrialHistory, imported: ImportedSection, repair: Repair
) -> Iterator[TheirChange]:
    try:
        anchors = repaired(record, history, repair).anchors
    except ConfigError:
        return
    for name, after in (("anchor_base", _sizes(anchors)), ("anchor_ratio_centre", _listed(anchors.ratios))):
        if name in imported.keys:
            own = imported.keys[name]
            yield TheirChange(parameter=name, key=own.key, line=own.line, before=own.value, after=after)


def _sizes(anchors: Anchors) -> str:
    return "[" + ", ".join(f"[{_listed(level)}]" for level in anchors.sizes_px) + "] px for P2 to P6"


def _listed(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:.4g}" for value in values)
