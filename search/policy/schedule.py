"""What a study does next: let a paused trial go on, begin a new one, wait for those that run, or end."""

from bisect import bisect_right
from dataclasses import dataclass
from enum import StrEnum

from search.policy.course import Course
from search.policy.promotion import last_rung, leading, promoted
from search.policy.readings import values_of
from search.policy.settlement import read_settlement
from search.study.specification import Specification
from storage.outcomes import images_of_faults, outcomes_by_trial
from storage.standings import paused
from storage.study import StoredStudy, read_trials


class Step(StrEnum):
    """What comes next."""

    PROMOTE = "promote"
    NEW = "new"
    WAIT = "wait"  # for trials that run: what they reach decides
    END = "end"


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """What comes next, and with which trial."""

    step: Step
    trial: int | None = None  # that is promoted


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The rules of one study: rungs in images, the last being a full training, and its bounds."""

    rungs: tuple[int, ...]
    trials: int  # that it may begin
    images: int | None = None  # that it may train in all; None: as many as the trials need
    factor: int | None = None  # one in so many is promoted; None: trials don't pause
    sure: tuple[int, ...] = ()  # trials that go on at once, whatever others reach

    @classmethod
    def of(cls, specification: Specification) -> "Schedule":
        """The rules that a specification with a settled budget means."""
        return cls(
            rungs=specification.rungs,
            trials=specification.trials,
            images=specification.budget.all_images,
            factor=specification.pruner.factor if specification.pruner.pauses else None,
            sure=_derived_trial(specification),
        )

    def move(self, course: Course) -> Move:
        """What comes next. A study ends with a full training wherever a trial lives that can be trained in full."""
        spent = self.images_of(course)
        due = self._due(course)
        if due is not None and self._fits(course, spent, due):
            return Move(step=Step.PROMOTE, trial=due)
        if course.begun < self.trials and not course.settled and self._fits(course, spent, None):
            return Move(step=Step.NEW)
        if course.running:
            return Move(step=Step.WAIT)
        return self._last_moves(course, spent)

    @property
    def bounds_images(self) -> bool:
        """Whether images rather than trials say how far a study is."""
        return self.factor is not None or self.images is not None

    def likely_images(self) -> int:
        """Images that the study takes if at each rung as many go on as the quota lets, and at least one."""
        if self.images is not None:
            return self.images
        factor = self.factor or 1
        stretches = zip(self.rungs, (0, *self.rungs), strict=False)
        return sum(max(1, self.trials // factor**k) * (to - since) for k, (to, since) in enumerate(stretches))

    def _due(self, course: Course) -> int | None:
        if self.factor is None:
            return None
        sure = next((trial for trial in course.waiting if trial in self.sure), None)
        return promoted(course.values, course.waiting, self.rungs, factor=self.factor) if sure is None else sure

    def images_of(self, course: Course) -> int:
        """Images that are spent, those included that running trials take until their next rung."""
        read = sum(last_rung(own) for own in course.values.values())
        return read + course.lost_images + sum(self._cost(course, trial) for trial in course.running)

    def _last_moves(self, course: Course, spent: int) -> Move:
        """Nothing new begins and nobody is due: what is left goes to the best, until one is trained in full."""
        ahead = leading(course.values, course.waiting, self.rungs)
        if ahead is None:
            return Move(step=Step.END)
        affordable = self.images is not None and spent + self._cost(course, ahead) <= self.images
        if affordable or not self._complete(course):
            return Move(step=Step.PROMOTE, trial=ahead)
        return Move(step=Step.END)

    def _fits(self, course: Course, spent: int, trial: int | None) -> bool:
        """Whether the images last for that trial's next rung (None: a new one's) and then for one full training."""
        if self.images is None:
            return True
        cost = self._cost(course, trial)
        return spent + cost + self._reserve(course, trial) <= self.images

    def _reserve(self, course: Course, trial: int | None) -> int:
        """Images from the highest rung that is reached then to the end, where no trial is trained in full yet."""
        if self._complete(course):
            return 0
        waiting = (self._passed(course, one) for one in course.waiting)
        running = (self._next(course, one) for one in (*course.running, trial))
        return self.rungs[-1] - max((*waiting, *running))

    def _complete(self, course: Course) -> bool:
        return any(self.rungs[-1] in own for own in course.values.values())

    def _cost(self, course: Course, trial: int | None) -> int:
        """Images until that trial's next rung."""
        return self._next(course, trial) - self._passed(course, trial)

    def _next(self, course: Course, trial: int | None) -> int:
        if self.factor is None:  # it trains on, from rung to rung
            return self.rungs[-1]
        following = bisect_right(self.rungs, self._passed(course, trial))
        return self.rungs[min(following, len(self.rungs) - 1)]

    @staticmethod
    def _passed(course: Course, trial: int | None) -> int:
        return 0 if trial is None else last_rung(course.values.get(trial, {}))


def _derived_trial(specification: Specification) -> tuple[int, ...]:
    """The trial of the derived point, which stands after the reference: no search ends worse than with what it says."""
    return (1,) if specification.has_derived_trial else ()


def is_over(study: StoredStudy, specification: Specification) -> bool:
    """Whether nothing is left to do in that study, as its trials stand now.

    Raises:
        StorageUnavailable: the database is away.
    """
    outcomes, faults = outcomes_by_trial(study), images_of_faults(study)
    waiting, trials = paused(study), read_trials(study)
    values = {trial.number: values_of(trial) for trial in trials if trial.intermediate_values}
    settled = specification.budget.until_settled and read_settlement(study) is not None
    course = Course.of(trials, outcomes, waiting, values, fault_images=faults, settled=settled)
    return not course.waiting and Schedule.of(specification).move(course).step is Step.END
