"""What a worker says of itself, for `status` and the progress of a launch: that it lives, and what it does."""

import os
import socket
import time

from search.trainer.protocol import Preparing
from search.worker.outage import Outage
from search.worker.recorder import TrialRecorder
from storage.connection.errors import StorageUnavailable
from storage.outages import record_outage
from storage.study import StoredStudy
from storage.workers import gone, seen

BUSY_EVERY_S = 1.0  # how far it is within one stage; a new stage is said at once


class Presence:
    """One worker's row in the database. While that is away nothing is said: nobody could look either."""

    def __init__(self, study: StoredStudy, worker: str, outage: Outage) -> None:
        self._study = study
        self._worker = worker
        self._outage = outage
        self._outages_told = 0
        self._said_at_s = float("-inf")
        self._trial: TrialRecorder | None = None
        self._doing: Preparing | None = None
        self._device = ""

    def show(self, trial: TrialRecorder | None, *, device: str) -> None:
        """Say what the worker does now: train a trial, or none."""
        self._device = device
        self._trial, latest = trial, trial.latest if trial else None
        self._said_at_s = time.monotonic()
        try:
            seen(
                self._study,
                self._worker,
                host=socket.gethostname(),
                pid=os.getpid(),
                device=device,
                trial=trial.number if trial else None,
                images=latest.images if latest else 0,
                images_per_s=latest.images_per_s if latest else 0.0,
                doing=str(self._doing or ""),
            )
            self._tell_outages()
        except StorageUnavailable as error:
            self._outage.met(error)

    def busy(self, state: Preparing | None) -> None:
        """Say what the trainer is busy with, or that it takes steps."""
        last, self._doing = self._doing, state
        same = state is not None and last is not None and state.stage == last.stage
        if not self._outage.on and not (same and time.monotonic() - self._said_at_s < BUSY_EVERY_S):
            self.show(self._trial, device=self._device)

    def show_idle(self, *, device: str, every_s: float) -> None:
        """Say that it trains none, unless that was said less than `every_s` ago."""
        if time.monotonic() - self._said_at_s > every_s:
            self.show(None, device=device)

    def is_news(self) -> None:
        """Let whatever is to be said next be said at once."""
        self._said_at_s = float("-inf")

    def end(self) -> None:
        """Say good-bye.

        Raises:
            StorageUnavailable: the database is away.
        """
        self._tell_outages()
        gone(self._study, self._worker)

    def _tell_outages(self) -> None:
        """Put on record which outages this worker has survived since it told the last time."""
        survived = self._outage.survived
        while (number := self._outages_told) < len(survived):
            over = survived[number]
            record_outage(
                self._study,
                self._worker,
                number=number + 1,
                lasted_s=over.lasted_s,
                ended_s_ago=time.monotonic() - over.ended_s,
            )
            self._outages_told = number + 1
