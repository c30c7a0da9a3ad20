"""Who owns which trial. The promises that a worker builds on:

1. At any moment at most one worker holds a live lease on a trial. Claims may race from any number of processes and
   machines; exactly one succeeds, the others get `LeaseHeld`.
2. A lease lives `duration_s` from its claim or last renewal by the *database's* clock. No other clock counts, so
   machines whose clocks disagree do no harm.
3. A holder that dies blocks its trial for at most `duration_s`: then it is left behind, and anybody may claim it.
   So does a RUNNING trial that nobody ever leased (its worker died between asking and claiming).
4. Each change of hands raises the token by one. An older token never renews, checks or releases anything again:
   its holder gets `LeaseLost`, even if it was only asleep. What it did not write yet it must drop.
5. A lease that expired but that nobody took is still its holder's: `renew` brings it back to life.
6. Only RUNNING trials can be claimed. A trial that was told meanwhile is not claimable, however late the claim.
7. Every method is one transaction: it happened or it did not, and after a lost connection it may be repeated.
8. What is written inside `fenced` is written by the holder or not at all: the lease's row is locked before the first
   write and until the commit, and a claim needs that row (docs/decisions/0010). So is the trial's: who else would end
   it, by `optuna tell` for example, waits or was faster, and then the holder has lost the lease.

The **turn** is a lease on looking at the study as a whole: whoever has it may count trials, claim one or ask for a new
one, and knows that nobody else does so meanwhile. It expires like a lease, so a holder that outlives `turn_s` may find
company: `check_turn` says so, and promises 1 to 7 hold without it. A worker that asks for the turn that it has itself
gets it anew: it did not hear the answer when it took or gave it back.
"""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Table, and_, exists, or_, select, update

from storage.connection import tables
from storage.connection.errors import LeaseHeld, LeaseLost, StorageUnavailable
from storage.records import Lease, Turn
from storage.study import StoredStudy

_SHORTEST_WAIT_S = 0.01
_LONGEST_WAIT_S = 0.5


class Leases:
    """The leases of one study; a new duration holds from the next claim or renewal on. What leaves are records."""

    __slots__ = ("_database", "duration_s", "study", "turn_s")

    def __init__(self, study: StoredStudy, *, duration_s: float = 60.0, turn_s: float = 30.0) -> None:
        self._database = study.database
        self.study = study
        self.duration_s = duration_s
        self.turn_s = turn_s

    def claim(self, trial: int, worker: str) -> Lease:
        """A new lease on a RUNNING trial, with the token one above its predecessor's.

        Raises:
            LeaseHeld: another lease on it is alive, or the trial isn't RUNNING.
            StorageError: no such trial.
        """
        with self._database.writing() as connection:
            key = {"study_id": self.study.id, "trial": trial}
            row = _take(connection, tables.leases, key, worker, self.duration_s)
            # After taking, not before: on PostgreSQL the take may have waited for the holder who was telling the trial.
            state = self.study.require_trial(connection, trial)
            if state != "RUNNING":
                raise LeaseHeld(f"trial {trial} is {state.lower()}, and only a running trial can be claimed")
            if row is None:
                raise LeaseHeld(f"trial {trial} is held by another worker; go on with another trial")
        return _lease(row)

    def renew(self, lease: Lease) -> Lease:
        """The lease with `duration_s` ahead of it again, also if it had expired and nobody took it.

        Raises:
            LeaseLost: somebody took it or ended its trial, or it was released.
        """
        with self._database.writing() as connection:
            statement = (
                update(tables.leases)
                .where(self._still(lease), exists().where(self._runs(lease)))
                .values(expires_at=tables.clock() + self.duration_s)
                .returning(*tables.leases.c)
            )
            row = connection.execute(statement).first()
        if row is None:
            raise _lost(lease)
        return _lease(row)

    def check(self, lease: Lease) -> None:
        """Return if the lease is still its holder's: not taken, not released. It may have expired.

        Raises:
            LeaseLost: it isn't.
        """
        with self._database.reading() as connection:
            found = connection.execute(select(tables.leases.c.token).where(self._still(lease))).first()
        if found is None:
            raise _lost(lease)

    @contextmanager
    def fenced(self, lease: Lease) -> Iterator[None]:
        """One transaction, with Optuna's own writes in it, during which the lease can't change hands.

        Raises:
            LeaseLost: it was taken or released before, or somebody else ended the trial; nothing of the block happens.
        """
        leases, theirs = tables.leases, tables.optuna_trials
        with self._database.together() as connection:
            # The trial's row too: whoever else would tell it waits, or was faster.
            row = select(leases.c.token).join(theirs, self._runs(lease)).where(self._still(lease))
            if connection.execute(row.with_for_update()).first() is None:
                raise _lost(lease)
            yield

    def was_released(self, lease: Lease) -> bool:
        """Whether the holder itself gave this lease up, and nobody has taken the trial since.

        After a lost answer it tells whether the transaction that contained `release` was committed.
        """
        leases = tables.leases
        with self._database.reading() as connection:
            statement = select(leases.c.token).where(
                self.study.rows(leases, lease.trial),
                leases.c.token == lease.token,
                leases.c.worker == lease.worker,
                leases.c.expires_at.is_(None),
            )
            return connection.execute(statement).first() is not None

    def release(self, lease: Lease) -> None:
        """Give the trial up: if it is still RUNNING, it is claimable at once.

        Raises:
            LeaseLost: it was taken or released before.
        """
        with self._database.writing() as connection:
            statement = update(tables.leases).where(self._still(lease)).values(expires_at=None)
            released = connection.execute(statement).rowcount
        if not released:
            raise _lost(lease)

    def changes_of_hands(self) -> dict[int, int]:
        """How often a trial passed to another owner, by trial number; only those that did."""
        leases = tables.leases
        with self._database.reading() as connection:
            statement = (
                select(leases.c.trial, (leases.c.token - 1).label("changes"))
                .where(self.study.rows(leases), leases.c.token > 1)
                .order_by(leases.c.trial)
            )
            return {row.trial: row.changes for row in connection.execute(statement)}

    def held(self) -> list[Lease]:
        """The live leases of the study by trial number."""
        leases = tables.leases
        with self._database.reading() as connection:
            statement = (
                select(leases)
                .where(self.study.rows(leases), leases.c.expires_at > tables.clock())
                .order_by(leases.c.trial)
            )
            return [_lease(row) for row in connection.execute(statement)]

    @contextmanager
    def turn(self, worker: str, *, wait_s: float = 120.0) -> Iterator[Turn]:
        """The right to look at the study as a whole, for the length of the block or `turn_s`, whichever ends first.

        Raises:
            StorageUnavailable: others had it for all of `wait_s`.
        """
        turn = self._await_turn(worker, wait_s)
        try:
            yield turn
        finally:
            with self._database.writing() as connection:
                connection.execute(update(tables.turns).where(self._same_turn(turn)).values(expires_at=None))

    def check_turn(self, turn: Turn) -> None:
        """Return if nobody else has had a turn since this one began; in `Database.together` also until its end.

        Raises:
            LeaseLost: somebody has; what the block saw of the study may be old.
        """
        with self._database.reading() as connection:
            row = select(tables.turns.c.token).where(self._same_turn(turn)).with_for_update()
            found = connection.execute(row).first()
        if found is None:
            raise LeaseLost(f"the turn of {turn.worker} (token {turn.token}) is over; look at the study again")

    def _await_turn(self, worker: str, wait_s: float) -> Turn:
        deadline = time.monotonic() + wait_s
        pause_s = _SHORTEST_WAIT_S
        while True:
            with self._database.writing() as connection:
                key = {"study_id": self.study.id}
                own = tables.turns.c.worker == worker
                row = _take(connection, tables.turns, key, worker, self.turn_s, or_(tables.is_free(tables.turns), own))
            if row is not None:
                return Turn(worker=row.worker, token=row.token, expires_at=tables.instant(row.expires_at))
            if time.monotonic() >= deadline:
                raise StorageUnavailable(
                    f"study {self.study.name!r}: other workers had the turn for {wait_s:g} s; try again"
                )
            time.sleep(pause_s * random.uniform(0.5, 1.5))  # uneven, so that waiting workers don't march in step
            pause_s = min(_LONGEST_WAIT_S, 1.5 * pause_s)

    def _still(self, lease: Lease) -> ColumnElement[bool]:
        """The row of the lease, if it hasn't passed into other hands."""
        leases = tables.leases
        return and_(
            self.study.rows(leases, lease.trial),
            leases.c.token == lease.token,
            leases.c.worker == lease.worker,
            leases.c.expires_at.is_not(None),
        )

    def _runs(self, lease: Lease) -> ColumnElement[bool]:
        """The row of the trial, if nobody has ended it."""
        theirs = tables.optuna_trials
        state = tables.state_of(theirs) == "RUNNING"
        return and_(theirs.c.study_id == self.study.id, theirs.c.number == lease.trial, state)

    def _same_turn(self, turn: Turn) -> ColumnElement[bool]:
        return and_(self.study.rows(tables.turns), tables.turns.c.token == turn.token)


def _take(
    connection: Connection,
    table: Table,
    key: dict[str, int],
    worker: str,
    for_s: float,
    where: ColumnElement[bool] | None = None,
) -> Row[Any] | None:
    """The row after the worker took it, in one statement; None if somebody holds it, or `where` says otherwise."""
    until = tables.clock() + for_s
    statement = (
        tables.insert(connection, table)
        .values(**key, worker=worker, token=1, expires_at=until)
        .on_conflict_do_update(
            index_elements=list(key),
            set_={"worker": worker, "token": table.c.token + 1, "expires_at": until},
            where=tables.is_free(table) if where is None else where,
        )
        .returning(*table.c)
    )
    return connection.execute(statement).first()


def _lease(row: Row[Any]) -> Lease:
    return Lease(trial=row.trial, worker=row.worker, token=row.token, expires_at=tables.instant(row.expires_at))


def _lost(lease: Lease) -> LeaseLost:
    return LeaseLost(
        f"trial {lease.trial} isn't {lease.worker}'s any more (token {lease.token}): it was released, taken over, or "
        "ended by somebody else; drop what was not written yet and go on with another trial"
    )
