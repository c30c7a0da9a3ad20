"""PostgreSQL connections that give up on a server that says nothing, and are given up by it when they say nothing.

A cut network looks like a server that thinks. The kernel notices it only if nobody in between (a proxy, a NAT box, a
host that was suspended) still acknowledges our bytes; a worker that waits for such an answer could neither go on
training nor obey a signal. The other way round, a machine that lost its power in the middle of a transaction would keep
its locks, the study's turn among them, until the server's own keepalive finds out: after two hours, as systems are set.
"""

import time
from collections.abc import Generator
from contextlib import ExitStack
from typing import Any, TypeVar

import psycopg

from storage.connection.slots import Slot, Slots

#: No statement of ours is silent for so long on a server that is there; one that is, is repeated like after an outage.
ANSWER_LIMIT_S = 15.0
#: Nothing of ours pauses so long between two statements of a transaction, on a machine however busy.
SILENCE_LIMIT_S = 30.0
_LOOK_AGAIN_S = 0.1  # as psycopg

Result = TypeVar("Result")


class AnswerConnection(psycopg.Connection[Any]):
    """A connection that closes itself and raises `OperationalError` after `ANSWER_LIMIT_S` without a byte.

    Closed, it gives its slot back.
    """

    slot: Slot | None = None

    @classmethod
    def within(cls, slots: Slots | None, **options: Any) -> "AnswerConnection":
        """A new connection, in one of the slots if there are any to be had from.

        Raises:
            MachineBusy: every slot is in use.
        """
        with ExitStack() as undone:
            slot = slots.take() if slots else None
            if slot:
                undone.callback(slot.release)
            connection = cls.connect(**options, autocommit=True)
            undone.callback(connection.close)
            connection.execute(f"SET idle_in_transaction_session_timeout = {SILENCE_LIMIT_S * 1000:.0f}")
            connection.autocommit = False
            connection.slot = slot
            undone.pop_all()
        return connection

    def close(self) -> None:
        super().close()
        if self.slot:
            self.slot.release()

    def wait(self, gen: Any, interval: float = _LOOK_AGAIN_S, *arguments: Any, **options: Any) -> Any:
        """The generator's result; psycopg calls this for whatever may block (its promise since 3.0)."""
        return super().wait(self._impatient(gen), interval, *arguments, **options)

    def _impatient(self, waiting: Generator[Any, Any, Result]) -> Generator[Any, Any, Result]:
        heard_at = time.monotonic()
        try:
            wanted = next(waiting)
            while True:
                ready = yield wanted
                if ready:
                    heard_at = time.monotonic()
                elif time.monotonic() - heard_at > ANSWER_LIMIT_S:
                    self.pgconn.finish()
                    raise psycopg.OperationalError(f"the server has said nothing for {ANSWER_LIMIT_S:g} s")
                wanted = waiting.send(ready)
        except StopIteration as end:
            return end.value
