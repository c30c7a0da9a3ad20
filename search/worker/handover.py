"""How a claimed trial becomes a worker's own, unless a verdict says that it is not to be trained."""

import logging

from optuna.trial import FrozenTrial

from search.faults.crash_points import CrashPoint, crash_point
from search.faults.history import HistoryEvent, note
from search.plan import Plan
from search.worker.outage import Outage
from search.worker.outbox import Outbox
from search.worker.recorder import TrialRecorder
from storage.leases import Leases
from storage.records import Lease
from storage.study import StoredStudy
from storage.study_view import StudyView
from trial.verdict import Verdict

logger = logging.getLogger(__name__)


class Handover:
    """Hands one worker the trials that it has claimed."""

    def __init__(self, study: StoredStudy, plan: Plan, view: StudyView, leases: Leases, outage: Outage) -> None:
        self._study = study
        self._plan = plan
        self._view = view
        self._leases = leases
        self._outage = outage

    def taken(self, lease: Lease, trial: FrozenTrial, *, promoted_from: int | None = None) -> TrialRecorder:
        """The trial, to be trained on from its last rung; `promoted_from` is the one at which it waited until now."""
        note(HistoryEvent.CLAIM, trial=lease.trial, token=lease.token)
        crash_point(CrashPoint.AFTER_CLAIM)
        return TrialRecorder(
            self._study,
            self._view,
            self._leases,
            lease,
            parameters=trial.params,
            outbox=self._outbox(lease),
            outage=self._outage,
            pauses=self._plan.specification.pruner.pauses,
            promoted_from=promoted_from,
        )

    def told(self, lease: Lease, trial: FrozenTrial, verdict: Verdict) -> None:
        """Tell a trial that it ends so without another step."""
        recorder = self.taken(lease, trial)
        recorder.finish(verdict)
        recorder.deliver()
        self._outbox(lease).discard()
        logger.info("trial %d: %s (%s)", lease.trial, verdict.outcome, verdict.message)

    def _outbox(self, lease: Lease) -> Outbox:
        return Outbox(self._plan.trial_directory(lease.trial), lease.token)
