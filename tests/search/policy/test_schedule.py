"""What a study does next, worked out by hand; and whole studies played through."""

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.policy.course import Course
from search.policy.schedule import Move, Schedule, Step

RUNGS = (80, 250, 1000)
FIRST = {number: {80: 0.1 * number} for number in range(4)}


def course(
    begun: int,
    values: dict[int, dict[int, float]],
    *,
    waiting: tuple[int, ...] = (),
    running: tuple[int, ...] = (),
    lost_images: int = 0,
    settled: bool = False,
) -> Course:
    return Course(
        begun=begun, running=running, waiting=waiting, values=values, lost_images=lost_images, settled=settled
    )


def promoting(trials: int, images: int | None = None) -> Schedule:
    return Schedule(rungs=RUNGS, trials=trials, images=images, factor=4)


NEW, WAIT, END = Move(step=Step.NEW), Move(step=Step.WAIT), Move(step=Step.END)


def promote(trial: int) -> Move:
    return Move(step=Step.PROMOTE, trial=trial)


@pytest.mark.parametrize(
    ("schedule", "state", "expected"),
    [
        (promoting(9), course(0, {}), NEW),
        (promoting(9), course(4, FIRST, waiting=(0, 1, 2, 3)), promote(3)),
        (promoting(9), course(4, FIRST, waiting=(0, 1, 2), running=(3,)), NEW),
        (promoting(4), course(4, FIRST, waiting=(0, 1, 2), running=(3,)), WAIT),
        (promoting(4), course(4, FIRST | {3: {80: 0.3, 250: 0.4}}, waiting=(0, 1, 2, 3)), promote(3)),  # to an end
        (promoting(4), course(4, FIRST | {3: {80: 0.3, 250: 0.4, 1000: 0.5}}, waiting=(0, 1, 2)), END),
        (promoting(2), course(2, {0: {80: 0.1}, 1: {80: 0.2}}, waiting=(0, 1)), promote(1)),  # fewer than four in all
        (promoting(3), course(3, {}), END),  # all diverged
        # A settled study begins nothing new, but lets go on what is due, and one to an end
        (promoting(9), course(4, FIRST | {3: {80: 0.3, 250: 0.4, 1000: 0.5}}, waiting=(0, 1, 2), settled=True), END),
        (promoting(9), course(4, FIRST, waiting=(0, 1, 2), running=(3,), settled=True), WAIT),
        (promoting(9), course(4, FIRST, waiting=(0, 1, 2, 3), settled=True), promote(3)),
        # Images: 4 × 80 are spent; a fifth trial's 80, and 750 for the best from 250 on, and so on
        (promoting(9, 5000), course(4, FIRST, waiting=(0, 1, 2, 3)), promote(3)),
        (promoting(9, 1240), course(4, FIRST, waiting=(0, 1, 2, 3)), promote(3)),  # 320 + 170 + 750 = 1240
        (promoting(9, 1239), course(4, FIRST, waiting=(0, 1, 2, 3)), promote(3)),  # one full training there must be
        (promoting(9, 1319), course(4, FIRST, waiting=(0, 1, 2), running=(3,)), WAIT),  # 320 + 170 + 80 + 750 = 1320
        (promoting(9, 1320), course(4, FIRST, waiting=(0, 1, 2), running=(3,)), NEW),
        (promoting(9, 1320), course(4, FIRST, waiting=(0, 1, 2), running=(3,), lost_images=1), WAIT),
        (promoting(4, 3000), course(4, FIRST | {3: {80: 0.3, 250: 0.4, 1000: 0.5}}, waiting=(0, 1, 2)), promote(2)),
        # Trials that don't pause cost a full training each
        (Schedule(rungs=RUNGS, trials=9), course(4, FIRST, running=(0, 1, 2, 3)), NEW),
        (Schedule(rungs=RUNGS, trials=9, images=3999), course(3, {}, running=(0, 1, 2)), WAIT),
        (Schedule(rungs=RUNGS, trials=9, images=4000), course(3, {}, running=(0, 1, 2)), NEW),
    ],
)
def test_the_next_move_is_as_worked_out_by_hand(schedule: Schedule, state: Course, expected: Move):
    assert schedule.move(state) == expected


def test_the_derived_trial_goes_on_at_once_whatever_others_reach():
    schedule = Schedule(rungs=RUNGS, trials=9, factor=4, sure=(1,))
    assert schedule.move(course(2, {1: {80: 0.0}}, waiting=(1,), running=(0,))) == promote(1)
    assert schedule.move(course(4, FIRST | {1: {80: 0.1, 250: 0.0}}, waiting=(0, 1, 2, 3))) == promote(1)
    assert schedule.move(course(4, FIRST | {1: {80: 0.1, 250: 0.1, 1000: 0.2}}, waiting=(0, 2, 3))) == promote(3)


def test_likely_images_count_each_rungs_share():
    assert promoting(16).likely_images() == 16 * 80 + 4 * 170 + 1 * 750
    assert promoting(3).likely_images() == 3 * 80 + 170 + 750  # at least one is trained in full
    assert promoting(16, 700).likely_images() == 700


class Played:
    """A study with so many workers, whose trials reach what a seed says; a trial in ten diverges."""

    def __init__(self, schedule: Schedule, *, workers: int, seed: int) -> None:
        self.schedule, self.random = schedule, random.Random(seed)
        self.values: dict[int, dict[int, float]] = {}
        self.running: dict[int, int] = {}  # to the next rung
        self.waiting: list[int] = []
        self.begun, self.lost = 0, 0
        for _ in itertools.count():
            while len(self.running) < workers and self._begin():
                pass
            if not self.running:
                break
            self._reach(self.random.choice(list(self.running)))

    def course(self) -> Course:
        return course(
            self.begun,
            {number: own for number, own in self.values.items() if own},
            waiting=tuple(self.waiting),
            running=tuple(self.running),
            lost_images=self.lost,
        )

    def _begin(self) -> bool:
        move = self.schedule.move(self.course())
        if move.step is Step.NEW:
            trial, self.begun = self.begun, self.begun + 1
            self.values[trial] = {}
        elif move.step is Step.PROMOTE:
            assert move.trial is not None
            self.waiting.remove(trial := move.trial)
        else:
            return False
        self.running[trial] = next(rung for rung in self.schedule.rungs if rung not in self.values[trial])
        return True

    def _reach(self, trial: int) -> None:
        rung = self.running.pop(trial)
        if self.random.random() < 0.1:
            self.lost += 10
            return
        self.values[trial][rung] = self.random.random()
        if rung != self.schedule.rungs[-1]:
            self.waiting.append(trial)

    def images(self) -> int:
        return sum(max(own, default=0) for own in self.values.values()) + self.lost


@given(trials=st.integers(1, 60), workers=st.integers(1, 8), seed=st.integers(0, 10**6))
def test_a_study_of_trials_begins_them_all_and_trains_one_in_full(trials: int, workers: int, seed: int):
    played = Played(promoting(trials), workers=workers, seed=seed)
    assert played.begun == trials
    assert any(1000 in own for own in played.values.values()) or not played.waiting


@given(trainings=st.integers(2, 12), workers=st.integers(1, 8), seed=st.integers(0, 10**6))
def test_a_study_of_images_spends_no_more_but_for_its_one_full_training(trainings: int, workers: int, seed: int):
    played = Played(promoting(10_000, trainings * 1000), workers=workers, seed=seed)
    complete = sum(1000 in own for own in played.values.values())
    assert played.images() <= trainings * 1000 or complete <= 1
    assert complete or not played.waiting
