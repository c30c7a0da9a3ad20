"""At most so many connections from one machine to one database, whatever the number of processes.

A server admits a hundred or so, shared with everybody else; sixty-four workers with two each would have them all. Every
open connection holds the lock of one file; the kernel gives it back when its process dies.
"""

import fcntl
import hashlib
import os
import random
import stat
import tempfile
import time
from pathlib import Path

from storage.connection.errors import MachineBusy, StorageError

MOST_CONNECTIONS = 16
PATIENCE_S = 15.0
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
_SHORTEST_WAIT_S = 0.01
_LONGEST_WAIT_S = 0.25  # dozens that look again every few milliseconds would keep a core from those who are at work


class Slot:
    """The right to one connection, until it is released or forgotten."""

    __slots__ = ("_descriptor",)

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        """Let another have it. May be called again."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def __del__(self) -> None:
        self.release()


class Slots:
    """The slots of one database on this machine, for all processes of this user."""

    __slots__ = ("_folder", "_label", "_most")

    def __init__(self, label: str, *, most: int | None = None) -> None:
        name = hashlib.sha256(label.encode()).hexdigest()[:16]
        self._folder = Path(tempfile.gettempdir()) / f"frcnn-search-{os.getuid()}" / f"connections-{name}"
        self._label = label
        self._most = MOST_CONNECTIONS if most is None else most

    def take(self, *, patience_s: float = PATIENCE_S) -> Slot:
        """A free slot, waited for if need be.

        Raises:
            MachineBusy: none became free in time.
            StorageError: the folder of the locks can't be used.
        """
        try:
            return self._wait(patience_s)
        except OSError as error:
            raise StorageError(
                f"{self._folder}: the locks of this machine's connections can't be kept there ({error.strerror}); "
                "remove it, or let TMPDIR name another folder"
            ) from error

    def _wait(self, patience_s: float) -> Slot:
        for folder in (self._folder.parent, self._folder):
            folder.mkdir(mode=0o700, exist_ok=True)
            _require_ours(folder)
        deadline = time.monotonic() + patience_s
        pause_s = _SHORTEST_WAIT_S
        while True:
            for number in random.sample(range(self._most), self._most):
                if (slot := self._try(number)) is not None:
                    return slot
            if time.monotonic() > deadline:
                raise MachineBusy(
                    f"database {self._label}: all {self._most} connections that this machine may have are in use; "
                    "try again"
                )
            time.sleep(pause_s * random.uniform(0.5, 1.5))
            pause_s = min(_LONGEST_WAIT_S, 2 * pause_s)

    def _try(self, number: int) -> Slot | None:
        descriptor = os.open(self._folder / f"{number:02d}.lock", _FLAGS, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return Slot(descriptor)


def _require_ours(folder: Path) -> None:
    """Return if nobody else can put anything there: where all users write, others may have made it first.

    Raises:
        StorageError: they can.
    """
    there = folder.lstat()  # a link is none of ours
    if not stat.S_ISDIR(there.st_mode) or there.st_uid != os.getuid() or there.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise StorageError(
            f"{folder} is another user's, a link, or open to others, so the locks of this machine's connections can't "
            "be kept there; remove it, or let TMPDIR name a folder of yours"
        )
