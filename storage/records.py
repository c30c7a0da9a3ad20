"""Values that storage keeps and gives back. A record leaves storage as one of these, never as a row."""

from dataclasses import dataclass
from datetime import datetime

from trial.reports import RungReport
from trial.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeRecord(Verdict):
    """How a trial ended, or was interrupted."""

    trial: int  # Optuna's trial number
    recorded_at: datetime  # the database's clock, UTC


@dataclass(frozen=True, slots=True, kw_only=True)
class RungRecord(RungReport):
    """One evaluation of one trial."""

    trial: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BestTrial:
    """The trial that is ahead."""

    trial: int
    rung_images: int  # of the furthest rung that it has passed, nominal
    ap: float  # there


@dataclass(frozen=True, slots=True, kw_only=True)
class LostTrainers:
    """Trainer processes that died or hung under one trial, which was tried again each time."""

    lost: int
    hung: int  # among these: they lived on, but made no step


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Who owns a RUNNING trial, until when. The token grows with every change of hands."""

    trial: int
    worker: str
    token: int
    expires_at: datetime  # the database's clock, UTC

    @property
    def is_first(self) -> bool:
        """Whether nobody owned the trial before."""
        return self.token == 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """Who may look at the study as a whole, claim and ask, until when. The token grows with every turn."""

    worker: str
    token: int
    expires_at: datetime  # the database's clock, UTC


@dataclass(frozen=True, slots=True, kw_only=True)
class OutageRecord:
    """A time in which one worker could not reach the database, and which it survived."""

    worker: str
    lasted_s: float
    ended_at: datetime  # the database's clock, UTC


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRecord:
    """What runs where."""

    worker: str
    host: str
    pid: int
    device: str
    started_at: datetime
    seen_at: datetime  # the database's clock, UTC, as `started_at`
    age_s: float  # since `seen_at`, by the database's clock
    trial: int | None
    images: int
    images_per_s: float
    doing: str = ""  # what it waits for, in words; empty while it trains
