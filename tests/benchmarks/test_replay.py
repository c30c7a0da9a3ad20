"""Searches on recorded curves, replayed: by curves whose finals are known, the product's own workers included."""

import itertools
from pathlib import Path

import numpy as np
import optuna
import pytest

from benchmarks.curves import baselines
from benchmarks.curves.compare import ours, random_trainings, saved
from benchmarks.curves.curve import Curve, CurveReading
from benchmarks.curves.table import CurveTable, training_s
from benchmarks.curves.track import Track
from benchmarks.curves.virtual_time import IdleEvent, TimeIsUp, VirtualTime
from search.policy.proposal import ENQUEUED, propose
from spaces.faster_rcnn import Space

SPACE = Space.default()
BATCH_S = 10.0  # of a stretch of training


def made_up(number: int, final: float, seed: int = 0, *, ends_at: int | None = None) -> Curve:
    """AP grows evenly with images to `final`; 10 s of training and 1 s of evaluation a reading, 0.5 s on the part."""
    sampler = optuna.samplers.RandomSampler(seed=number)
    point = propose(SPACE, optuna.create_study(), sampler, number=number, fixed={}).params
    if number < 2:
        point = SPACE.reference() if number == 0 else {**SPACE.reference(), "momentum": 0.91}
    readings = []
    for images in (one for one in baselines.NOMINAL if ends_at is None or one < ends_at):
        figures = {"ap": final * images / 640, "ap_error": 0.01}
        readings.append(
            CurveReading(images=images, training_s=BATCH_S, evaluation_s=1.0, part_s=0.5, metrics=figures, part=figures)
        )
    return Curve(
        dataset="made up",
        configuration=number,
        seed=seed,
        parameters=point,
        outcome="complete" if ends_at is None else "diverged",
        cause="",
        images=640 if ends_at is None else ends_at,
        readings=tuple(readings),
    )


@pytest.fixture(scope="module")
def table() -> CurveTable:
    """Eleven configurations with finals 0.0 to 0.5, the last two of which diverge."""
    curves = [made_up(number, number / 20) for number in range(11)]
    return CurveTable([*curves, made_up(11, 0.9, ends_at=100), made_up(12, 0.9, ends_at=20)], SPACE)


def test_regret_is_nothing_for_the_best_and_one_for_the_median(table: CurveTable) -> None:
    assert table.regret(10) == 0.0
    assert table.regret(4) == pytest.approx(1.0)  # finals 0, 0, 0 (two diverged), 0.05 … 0.5: the seventh is 0.2
    assert table.regret(12) == pytest.approx(0.5 / 0.3)
    assert table.regret(None) == 1.0


def test_a_full_training_takes_its_eight_stretches_and_one_evaluation(table: CurveTable) -> None:
    assert table.training_s == 81.0


def test_the_best_of_so_many_at_random_is_expected_as_counted_by_hand(table: CurveTable) -> None:
    assert table.random_regret(len(table.numbers)) == pytest.approx(0.0)
    mean = np.mean([table.regret(number) for number in table.numbers])
    assert table.random_regret(1) == pytest.approx(mean)
    pairs = [min(table.regret(a), table.regret(b)) for a, b in itertools.combinations(table.numbers, 2)]
    assert table.random_regret(2) == pytest.approx(np.mean(pairs))
    assert random_trainings(table, table.random_regret(2)) == 2


def test_a_point_of_the_table_is_nearest_to_itself_until_it_was_tried(table: CurveTable) -> None:
    assert [table.nearest(table.parameters(number), without=()) for number in table.numbers] == list(table.numbers)
    assert table.nearest(table.parameters(5), without={5}) not in (5, None)
    assert table.nearest(table.parameters(5), without=set(table.numbers)) is None


def test_time_between_two_rungs_is_that_of_the_stretches_between(table: CurveTable) -> None:
    curve = table.curve(5, 0)
    assert training_s(curve, since=0, until=107) == 3 * BATCH_S
    assert training_s(curve, since=107, until=640) == 5 * BATCH_S


def test_what_is_exported_is_the_best_at_the_highest_rung() -> None:
    track = Track()
    track.read(10.0, 1, 107, 0.3)
    track.read(20.0, 2, 107, 0.2)
    track.read(30.0, 2, 640, 0.25)
    assert [track.at(moment) for moment in (5.0, 10.0, 29.0, 30.0)] == [None, 1, 1, 2]


def test_saved_time_is_counted_from_either_side() -> None:
    slow, fast = np.linspace(1.0, 0.5, 200), np.linspace(1.0, 0.0, 200)
    assert saved(fast, slow) == pytest.approx(2.0, rel=0.02)
    assert saved(slow, fast) == pytest.approx(0.5, rel=0.02)


def test_threads_take_turns_in_the_order_of_their_time() -> None:
    time, seen = VirtualTime(limit_s=10.0), []

    def task(name: str, step_s: float) -> None:
        while True:
            time.sleep(step_s)
            seen.append((name, time.now_s))

    time.run([lambda: task("a", 3.0), lambda: task("b", 4.0)])
    assert seen == [("a", 3.0), ("b", 4.0), ("a", 6.0), ("b", 8.0), ("a", 9.0)]


def test_who_is_idle_goes_on_when_another_has_worked_and_ends_when_nobody_will() -> None:
    time, seen = VirtualTime(limit_s=10.0), []

    def works() -> None:
        time.sleep(5.0)

    def waits() -> None:
        assert not IdleEvent(time).wait(1000.0)
        seen.append(time.now_s)
        IdleEvent(time).wait(1000.0)
        seen.append(time.now_s)

    time.run([works, waits])
    assert seen == [5.0]
    with pytest.raises(TimeIsUp):
        VirtualTime.sleep(_lonely(), 2.0)


def _lonely() -> VirtualTime:
    time = VirtualTime(limit_s=1.0)
    time._turn = 0
    return time


@pytest.mark.parametrize("workers", [1, 3])
def test_the_product_searches_the_table_by_its_own_queue_and_finds_the_best(table: CurveTable, workers: int) -> None:
    track = ours(table, 0, workers, 20 * table.training_s)
    assert track.at(1e9) == 10
    assert track.moments_s == sorted(track.moments_s)
    assert track.moments_s[0] == pytest.approx(3 * BATCH_S + 0.5)  # its first rung is at a sixth, on the part


def test_the_product_finds_the_same_again(table: CurveTable) -> None:
    first, second = (ours(table, 3, 2, 4 * table.training_s) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("name", baselines.BASELINES)
def test_every_other_search_finds_the_best_when_it_may_try_all(table: CurveTable, name: str, tmp_path: Path) -> None:
    study = baselines.BASELINES[name](0)
    track = baselines.searched(study, SPACE, table, seed=0, workers=2, limit_s=1e9)
    assert track.at(1e9) in ((10,) if name == "random" else (8, 9, 10))
    tried = {table.number_of(trial.params) for trial in study.trials if ENQUEUED in trial.system_attrs}
    assert tried == set(table.numbers)
