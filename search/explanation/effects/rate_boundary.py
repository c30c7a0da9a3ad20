"""The learning rate at which a study's trials begin to diverge, by optimizer and batch size.

Rates are peak learning rates of a step (`lr_per_16` × batch / 16). Other parameters move the boundary too (clipping,
warm-up, momentum), so the two sides may overlap; both are reported, nothing is fitted.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from search.report.trial_history import TrialHistory, TrialRecord
from trial.outcome import Outcome

CLEAR_FACTOR = 2.0  # a rate that is to mend a trial lies so far below the trial's own


@dataclass(frozen=True, slots=True, kw_only=True)
class RatePoint:
    """One trial on the plane of batch size and learning rate."""

    trial: int
    optimizer: str
    batch_size: int
    rate: float
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class RateBoundary:
    """What was seen at one batch size with one optimizer."""

    optimizer: str
    batch_size: int
    healthy: int  # trials
    diverged: int
    largest_healthy: RatePoint | None
    smallest_diverged: RatePoint | None

    @property
    def overlaps(self) -> bool:
        """Whether a healthy trial had a higher rate than a diverged one: then more than the rate decides."""
        if self.largest_healthy is None or self.smallest_diverged is None:
            return False
        return self.largest_healthy.rate > self.smallest_diverged.rate


def rate_points(records: Iterable[TrialRecord]) -> list[RatePoint]:
    """A point for each trial that has ended, whatever its end; those outside of the study's space are left out."""
    return [
        RatePoint(
            trial=record.number,
            optimizer=record.hyperparameters.optimizer.value,
            batch_size=record.hyperparameters.batch_size,
            rate=record.hyperparameters.learning_rate,
            outcome=record.ending,
        )
        for record in records
        if record.hyperparameters is not None and record.ending is not None and record.ending.final
    ]


def rate_boundaries(records: Iterable[TrialRecord]) -> tuple[RateBoundary, ...]:
    """One for each optimizer and batch size at which a trial was healthy or diverged, in that order."""
    groups: dict[tuple[str, int], list[RatePoint]] = {}
    for point in rate_points(records):
        if is_healthy(point) or is_diverged(point):
            groups.setdefault((point.optimizer, point.batch_size), []).append(point)
    return tuple(_boundary(*key, groups[key]) for key in sorted(groups))


def clear_rate(record: TrialRecord, history: TrialHistory) -> RatePoint | None:
    """The largest rate of a healthy trial that lies clearly below this trial's and below every diverged one's.

    From trials with the same batch size where there is one, else from others, at the same rate per 16 images. None
    where no trial shows one.
    """
    own = record.hyperparameters
    if own is None:
        return None
    points = [point for point in rate_points(history.records) if point.optimizer == own.optimizer]
    ceiling = own.lr_per_16 / CLEAR_FACTOR
    for group in ([point for point in points if point.batch_size == own.batch_size], points):
        diverged = [per_16(point) for point in group if is_diverged(point)]
        candidates = [point for point in group if is_healthy(point) and per_16(point) <= ceiling]
        below_all = [point for point in candidates if per_16(point) < min(diverged, default=ceiling * CLEAR_FACTOR)]
        if candidates:
            return max(below_all or candidates, key=per_16)
    return None


def rate_is_proven(record: TrialRecord, history: TrialHistory) -> bool:
    """Whether another trial stayed healthy at this learning rate or above, with the same optimizer and batch size."""
    own = record.hyperparameters
    return own is not None and any(
        is_healthy(point)
        and (point.optimizer, point.batch_size) == (own.optimizer, own.batch_size)
        and point.rate >= own.learning_rate
        for point in rate_points(history.records)
    )


def per_16(point: RatePoint) -> float:
    """The rate as the study's parameter states it, at batch size 16."""
    return point.rate * 16 / point.batch_size


def is_healthy(point: RatePoint) -> bool:
    """Whether the trial trained until it was done or until its peers were better."""
    return point.outcome.healthy


def is_diverged(point: RatePoint) -> bool:
    """Whether the trial's losses exploded."""
    return point.outcome == Outcome.DIVERGED


def _boundary(optimizer: str, batch_size: int, points: list[RatePoint]) -> RateBoundary:
    healthy = [point for point in points if is_healthy(point)]
    diverged = [point for point in points if is_diverged(point)]
    return RateBoundary(
        optimizer=optimizer,
        batch_size=batch_size,
        healthy=len(healthy),
        diverged=len(diverged),
        largest_healthy=max(healthy, key=lambda point: point.rate, default=None),
        smallest_diverged=min(diverged, key=lambda point: point.rate, default=None),
    )
