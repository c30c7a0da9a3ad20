"""The worker's end of a trainer: one child process, its pipe, and what can go wrong with it.

The child runs in its own session, so a ctrl-c in the terminal reaches only the worker, which decides what happens.
"""

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import IO

from search.trainer.environment import trainer_environment
from search.trainer.exits import TAIL_CHARACTERS, TAIL_LINES, TrainerDied, TrainerHung, count_memory_kills
from search.trainer.log_file import open_log
from search.trainer.protocol import Command, Event, Message, ProtocolError, Start, decode, encode
from search.trainer.watchdog import Speed

PROGRAM = ("-P", "-m", "search.trainer.process")  # -P: a user's folder may hold a search.py of its own
MOST_CHARACTERS = 1 << 24  # of one message; an evaluation of a thousand classes has 60,000

_END = None  # what the reader puts after the last event


class TrainerLink:
    """A running trainer. Events are read in a thread, so that none is lost while the worker is busy elsewhere.

    The log file gets the child's standard error, appended. Variables named in `withheld` are kept from the child, and
    so is whatever else looks like a secret.
    """

    def __init__(
        self, kind: str, *, log: Path, withheld: Collection[str] = (), environment: Mapping[str, str] | None = None
    ) -> None:
        variables = trainer_environment(os.environ if environment is None else environment, withheld=withheld)
        self.speed = Speed()
        self._log = log
        self._memory_kills = count_memory_kills()
        with open_log(log) as stderr:
            self._mark = stderr.tell()
            self._process = subprocess.Popen(
                [sys.executable, *PROGRAM, kind],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=variables,
                start_new_session=True,
                text=True,
                encoding="utf-8",
            )
        self._events: queue.SimpleQueue[Event | ProtocolError | None] = queue.SimpleQueue()
        self._heard_at = time.monotonic()
        self._reader = threading.Thread(target=self._read, name="trainer events", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def idle_s(self) -> float:
        """Seconds since the last event, or since the last command if that came later."""
        return time.monotonic() - self._heard_at

    def send(self, command: Command) -> None:
        """Hand over a command.

        Raises:
            TrainerDied: the process is gone.
        """
        if isinstance(command, Start):
            self._mark = self._log.stat().st_size  # an earlier trial's last words must not classify this one
        self._heard_at = time.monotonic()
        try:
            self._stdin.write(encode(command) + "\n")
            self._stdin.flush()
        except (BrokenPipeError, ValueError) as error:
            raise self._death() from error

    def poll(self, wait_s: float) -> Event | None:
        """The next event, or None when none came in time.

        Raises:
            TrainerDied: the process is gone, and all its events were delivered.
            ProtocolError: it said something that is no message.
        """
        try:
            event = self._events.get(timeout=wait_s)
        except queue.Empty:
            return None
        if event is _END:
            self._events.put(_END)
            raise self._death()
        if isinstance(event, ProtocolError):
            raise event
        self._heard_at = time.monotonic()
        return event

    def hung(self, silent_s: float | None = None, limit_s: float | None = None) -> TrainerHung:
        """The exception for a silence that has lasted too long, with the last lines of the log."""
        return TrainerHung(self.idle_s if silent_s is None else silent_s, self._tail(), limit_s=limit_s)

    def close(self, timeout_s: float = 10.0) -> int:
        """Let the trainer leave: close its pipe, wait, and kill it after the timeout. Returns its exit status."""
        with contextlib.suppress(BrokenPipeError):
            self._stdin.close()
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
        return self._finish()

    def kill(self) -> None:
        """End the trainer and whatever it started, at once."""
        if self.alive:
            self.abandon()
        self._finish()

    def abandon(self) -> None:
        """End the trainer without looking back; the one call that is safe in a signal handler."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def __enter__(self) -> "TrainerLink":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def _stdin(self) -> IO[str]:
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def _stdout(self) -> IO[str]:
        assert self._process.stdout is not None
        return self._process.stdout

    def _read(self) -> None:
        """Hand on every event. However this ends, whoever polls is told."""
        try:
            while line := self._stdout.readline(MOST_CHARACTERS):
                if len(line) == MOST_CHARACTERS:
                    raise ProtocolError(f"a message may have {MOST_CHARACTERS:,} characters, but one is longer")
                if line.endswith("\n"):  # else its death cut it off
                    self._events.put(_event(line))
        except ProtocolError as error:
            self._events.put(error)
        except Exception as error:  # no UTF-8; a bug
            self._events.put(ProtocolError(f"its messages can't be read any more ({type(error).__name__}: {error})"))
        finally:
            self._events.put(_END)

    def _finish(self) -> int:
        """Release the pipes of a process that is over."""
        returncode = self._process.wait()
        with contextlib.suppress(BrokenPipeError):
            self._stdin.close()
        self._reader.join(timeout=5.0)
        self._stdout.close()
        return returncode

    def _death(self) -> TrainerDied:
        if not self._stdout.closed:
            try:
                self._process.wait(timeout=5.0)  # its pipe closes a moment before its status is known
            except subprocess.TimeoutExpired:
                self.kill()
        before, now = self._memory_kills, count_memory_kills()
        killed_for_memory = before is not None and now is not None and now > before
        return TrainerDied(self._process.wait(), self._tail(), killed_for_memory=killed_for_memory)

    def _tail(self) -> tuple[str, ...]:
        with self._log.open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            log.seek(max(self._mark, end - TAIL_CHARACTERS))
            return tuple(log.read().decode("utf-8", "replace").splitlines()[-TAIL_LINES:])


def _event(line: str) -> Event:
    message: Message = decode(line)
    if not isinstance(message, Event):
        raise ProtocolError(f"a command came from the trainer: {line[:200]!r}")
    return message
