"""What keeps results from being written, told while it lasts: a worker's log is the last place where people look."""

import shutil
from collections.abc import Callable
from pathlib import Path

from search.launch.snapshot import Activity, Snapshot
from search.worker.outage import GIVE_UP_S
from storage.connection.errors import StorageUnavailable

SILENT_S = 25.0  # a worker with a trial says six times a lease what it does
LEAST_FREE_MIB = 16


class Trouble:
    """Says once when something begins, and once when it is over. Checkpoints and logs go below `folder`."""

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        self._folder = folder
        self._say = say
        self._over: dict[str, str] = {}  # what lasts, and what is said when it is over

    def database_away(self, error: StorageUnavailable) -> None:
        """The database did not answer."""
        patience = f"workers wait for it too, for {GIVE_UP_S / 60:g} min; what they train meanwhile stays on disk"
        self._tell({"database": (f"{error}; {patience}", "the database is back")}, among="database")

    def look(self, snapshot: Snapshot) -> None:
        """The database answered; see whether everything else is well."""
        self._tell({}, among="database")
        self._tell(self._full_disk(), among="disk")
        self._tell(dict(filter(None, map(self._silence, snapshot.activities))), among="worker")

    def _full_disk(self) -> dict[str, tuple[str, str]]:
        free_mib = shutil.disk_usage(self._folder).free >> 20
        if free_mib >= LEAST_FREE_MIB:
            return {}
        begun = f"{self._folder}: the disk has {free_mib} MiB left; make room: trials stop where they can't be kept"
        return {"disk": (begun, f"{self._folder}: there is room again")}

    def _silence(self, activity: Activity) -> tuple[str, tuple[str, str]] | None:
        worker = activity.worker
        if worker.trial is None or worker.age_s < SILENT_S:  # without a trial it may be preparing a trainer
            return None
        begun = (
            f"worker {worker.worker}, trial {worker.trial}: nothing heard for {worker.age_s:.0f} s; its database or "
            f"its disk takes nothing, or it is gone. Logs: {self._folder / 'logs'}"
        )
        return f"worker {worker.worker}", (begun, f"worker {worker.worker} is heard of again, or has left")

    def _tell(self, lasts: dict[str, tuple[str, str]], *, among: str) -> None:
        for what in [what for what in self._over if what.startswith(among) and what not in lasts]:
            self._say(self._over.pop(what))
        for what, (begun, over) in lasts.items():
            if what not in self._over:
                self._say(begun)
                self._over[what] = over
