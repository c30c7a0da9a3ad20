"""The causes of a study's failures, by how many trials and images each explains."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from search.explanation.cause import Cause, Entry, diagnose
from search.explanation.neighbour import nearest_healthy
from search.explanation.repair import Repair
from search.explanation.repair_choice import repairs
from search.report.trial_history import TrialHistory, TrialRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class CauseShare:
    """One cause and what it explains. Shares are in [0, 1]."""

    cause: Cause
    because: str
    trials: tuple[int, ...]
    share_of_failures: float
    share_of_ended: float
    images: int
    share_of_images: float
    rules: dict[str, int]  # how often each rule of the watch, or outcome, was what ended a trial
    example: int  # the latest of the trials
    repair: Repair | None  # of the example


def ranked_causes(history: TrialHistory) -> tuple[CauseShare, ...]:
    """The causes of failure, the one behind most trials first; among equals the one that cost most images."""
    groups: dict[Cause, list[tuple[TrialRecord, Entry]]] = {}
    for record in history.failures:
        entry = diagnose(record, others_are_healthy=bool(history.healthy))
        if entry is not None:
            groups.setdefault(entry.cause, []).append((record, entry))
    shares = [_share(history, group) for group in groups.values()]
    return tuple(sorted(shares, key=lambda share: (-len(share.trials), -share.images, share.cause)))


def _share(history: TrialHistory, group: Sequence[tuple[TrialRecord, Entry]]) -> CauseShare:
    """What the cause of these trials explains."""
    records, (example, entry) = [record for record, _ in group], group[-1]
    found = repairs(example, history, entry, nearest_healthy(example, history))
    images = sum(record.images for record in records)
    return CauseShare(
        cause=entry.cause,
        because=entry.because,
        trials=tuple(record.number for record in records),
        share_of_failures=len(records) / len(history.failures),
        share_of_ended=len(records) / history.ended,
        images=images,
        share_of_images=images / max(1, sum(record.images for record in history.records)),
        rules=dict(Counter(record.rule or str(record.ending) for record in records).most_common()),
        example=example.number,
        repair=found[0] if found else None,
    )
