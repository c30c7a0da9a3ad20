"""How a worker comes by a new trial: what it is to try is proposed, judged, and then stored and claimed in one go."""

from optuna.trial import FrozenTrial, TrialState

from search.faults.crash_points import CrashPoint, crash_point
from search.plan import Plan
from search.policy.proposal import ENQUEUED, propose
from search.policy.samplers import Memory, make_sampler
from search.policy.screens.feasibility import Screening
from search.policy.settlement import Settlement, settlement
from search.worker.handover import Handover
from search.worker.heartbeat import Heartbeat
from search.worker.recorder import TrialRecorder
from spaces.parameters import Value
from storage.box_samples import read_box_sample
from storage.leases import Leases
from storage.outcomes import outcomes_by_trial
from storage.records import Lease, Turn
from storage.study import StoredStudy
from storage.study_view import StudyView
from trial.outcome import Outcome
from trial.verdict import Verdict


class Asker:
    """Asks for one worker. What it proposes depends on the study's history alone."""

    def __init__(
        self, study: StoredStudy, plan: Plan, view: StudyView, leases: Leases, handover: Handover, *, worker: str
    ) -> None:
        self._study = study
        self._plan = plan
        self._view = view
        self._leases = leases
        self._handover = handover
        self._worker = worker
        self._memory = Memory.of(plan.specification)
        specification = plan.specification
        self._screening = Screening(plan.space, specification.sampler, read_box_sample(study), specification.point)

    def ask(self, turn: Turn) -> TrialRecorder | None:
        """A new trial, or one that somebody enqueued, by what the view has read in this turn."""
        trials = self._view.trials
        outcomes = outcomes_by_trial(self._study)
        waiting = next((each for each in trials if each.state is TrialState.WAITING), None)
        if waiting is not None:
            lease = self._begin(turn, waiting)
            return None if lease is None else self.taken_over(lease)
        number, first_points = len(trials), self._plan.first_points
        fixed = first_points[number] if number < len(first_points) else {}
        proposal = self._proposed(number, fixed, outcomes)
        verdict = None if fixed else self._screening.verdict(proposal, trials, outcomes)
        lease = self._begin(turn, proposal)
        return None if lease is None else self._judged(lease, proposal, verdict)

    def settlement(self, begun: int) -> Settlement | None:
        """Why the study needs no new trial, by what the view has read in this turn; None where it does."""
        memory, seed = self._memory, self._plan.specification.sampler.seed
        return settlement(memory.cube, memory.history.evidence(self._view.trials), begun=begun, seed=seed)

    def _proposed(
        self,
        number: int,
        fixed: dict[str, Value],
        outcomes: dict[int, Outcome],
        given: FrozenTrial | None = None,
    ) -> FrozenTrial:
        """What the trial of that number tries, by all before it."""
        refused = sum(outcome.refused for trial, outcome in outcomes.items() if trial < number)
        sampler = make_sampler(self._plan.specification, trial=number, refused=refused, memory=self._memory)
        with self._study.database.guarded():
            return propose(self._plan.space, self._view, sampler, number=number, fixed=fixed, given=given)

    def _begin(self, turn: Turn, trial: FrozenTrial) -> Lease | None:
        """Store and claim it in one transaction: all of it happened or nothing, also where the answer is lost."""
        with self._study.database.together():
            self._leases.check_turn(turn)
            if trial.state is not TrialState.WAITING:
                trial = self._view.begin(trial)
            elif not self._view.begin_waiting(trial):
                return None
            crash_point(CrashPoint.AFTER_ASK)
            return self._leases.claim(trial.number, self._worker)

    def taken_over(self, lease: Lease) -> TrialRecorder | None:
        """A trial that is there already, with what it lacks: somebody enqueued it, or its first owner died early.

        Only a first owner judges it: a later one cannot know for how long it was trained.
        """
        with Heartbeat(lambda: self._leases.renew(lease), interval_s=self._leases.duration_s / 6):
            return self._completed(lease, self._view.stored_trial(lease.trial))

    def _completed(self, lease: Lease, trial: FrozenTrial) -> TrialRecorder | None:
        enqueued, outcomes = trial.system_attrs.get(ENQUEUED, {}), outcomes_by_trial(self._study)
        if (mistake := self._screening.mistake(enqueued)) is not None:
            return self._judged(lease, trial, mistake)
        proposal = self._proposed(lease.trial, enqueued, outcomes, given=trial)
        if proposal.params.keys() != trial.params.keys():
            with self._leases.fenced(lease):
                self._view.complete(trial, proposal)
        if enqueued or not lease.is_first:
            return self._judged(lease, proposal, None)
        before = self._view.get_trials(deepcopy=False)[: lease.trial]
        return self._judged(lease, proposal, self._screening.verdict(proposal, before, outcomes))

    def _judged(self, lease: Lease, trial: FrozenTrial, verdict: Verdict | None) -> TrialRecorder | None:
        if verdict is None:
            return self._handover.taken(lease, trial)
        self._handover.told(lease, trial, verdict)
        return None
