import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from statistics import median

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from detector.config import Anchors, Canvas
from search.exit_codes import ExitCode
from search.launch.snapshot import read_snapshot
from search.plan import Plan
from search.policy.screens import feasibility as screening
from search.policy.screens.anchor_screen import AnchorScreen, varies_anchors
from search.report.status import read_status
from search.worker.loop import Worker
from spaces.anchor_fit import CanvasBoxes, Floats
from spaces.faster_rcnn import Space
from spaces.parameters import Fixed
from storage.box_samples import keep_box_sample, read_box_sample
from storage.connection.database import Database
from storage.outcomes import outcomes_by_trial, read_outcomes
from storage.study import find_study
from storage.telemetry import read_rungs, read_telemetry
from tests.search.conftest import all_shown, analytic_plan
from tests.support.studies import create_optuna_study, load_optuna_study, varied
from tests.support.workforce import found, leave, start_worker, two_at_once
from trial.outcome import Outcome

CANVAS = Canvas(height_px=128, width_px=128)


def square(size_px: float) -> Anchors:
    """One anchor a cell, `size_px` on P2 and twice as large on each further level."""
    return Anchors(sizes_px=tuple((size_px * 2**level,) for level in range(5)), ratios=(1.0,))


def on_canvas(corners: Floats) -> CanvasBoxes:
    """These boxes [n, 4], all in one image of one class, drawn as they lie on the canvas."""
    zeros = np.zeros(len(corners), dtype=np.int64)
    return CanvasBoxes(
        canvas=CANVAS,
        boxes=corners,
        labels=zeros,
        areas=(corners[:, 2:] - corners[:, :2]).prod(axis=1),
        images=zeros,
        image_count=1,
        classes=("cell",),
    )


def boxes_of(*sizes_px: float) -> CanvasBoxes:
    """Squares around the centre of a P2 cell, 4 · 10 + 2 px from the corner: equal anchors have an IoU of 1."""
    sides = np.array(sizes_px)
    corners = np.stack([42 - sides / 2, 42 - sides / 2, 42 + sides / 2, 42 + sides / 2], axis=1)
    return on_canvas(corners)


FITTING = Anchors(sizes_px=tuple((14.0 * 2**level, 21.0 * 2**level) for level in range(5)), ratios=(0.6, 1.0, 1.6))


def small_objects(seed: int = 0) -> CanvasBoxes:
    """Two hundred boxes of 14 to 30 px: the default space holds anchors for all of them, and many that fit none."""
    random = np.random.default_rng(seed)
    sides = random.uniform(14, 30, (200, 2))
    start = random.uniform(0, 98, (200, 2))
    corners = np.concatenate([start, start + sides], axis=1)
    return on_canvas(corners)


@pytest.mark.parametrize(
    ("sizes_px", "best", "anchors", "hopeless"),
    [
        # Anchors of 16 px reach an IoU of 1 with a box of 16 px, and of 64 / 256 = 0.25 with one of 8 px.
        pytest.param((16, 16, 8, 8), (16, 8), 16, False, id="half of what the best reach is enough"),
        pytest.param((16, 8, 8, 8), (16, 8), 16, True, id="a quarter is not"),
        # No anchor fits the four of 2 px (IoU 4 / 64 at best), so the best reach a third: a sixth is enough.
        pytest.param((2, 2, 2, 2, 16, 8), (16, 8), 16, False, id="boxes that nothing fits are no anchor's fault"),
        pytest.param((2, 2, 2, 2, 8, 8), (16, 8), 16, True, id="among the others the bound is the same"),
    ],
)
def test_anchors_are_hopeless_below_half_of_what_the_best_reach(sizes_px, best, anchors, hopeless):
    both = Anchors(sizes_px=tuple(tuple(size * 2.0**level for size in best) for level in range(5)), ratios=(1.0,))
    screen = AnchorScreen.of(boxes_of(*sizes_px), both, seed=0)
    verdict = screen.verdict(square(anchors), least=0.5)
    assert (verdict is not None) == hopeless
    assert screen.verdict(both, least=0.99) is None
    if verdict is not None:
        assert (verdict.outcome, verdict.cause, verdict.images) == (Outcome.HOPELESS, "anchors", 0)
        assert verdict.evidence["fit"] < verdict.evidence["least fit"] == screen.reachable / 2


def test_every_worker_judges_by_the_same_stored_sample(database, plan):
    create_optuna_study(database, plan.study)
    assert read_box_sample(find_study(database, plan.study)) is None
    first, second = (AnchorScreen.of(small_objects(seed), square(12), seed=0) for seed in (0, 1))
    keep_box_sample(find_study(database, plan.study), first.to_json())
    keep_box_sample(find_study(database, plan.study), second.to_json())  # a later launch
    stored = AnchorScreen.from_json(read_box_sample(find_study(database, plan.study)))
    assert np.array_equal(stored.boxes, first.boxes)
    assert not np.array_equal(stored.boxes, second.boxes)
    assert (stored.canvas, stored.reachable) == (first.canvas, first.reachable)
    assert stored.verdict(square(64), least=0.5) == first.verdict(square(64), least=0.5) != None  # noqa: E711


def test_a_sample_of_a_large_dataset_is_small_and_judged_within_milliseconds():
    random = np.random.default_rng(0)
    start, sides = random.uniform(0, 100, (50_000, 2)), random.uniform(4, 28, (50_000, 2))
    many = on_canvas(np.concatenate([start, start + sides], axis=1))
    screen = AnchorScreen.of(many, square(12), seed=0)
    assert len(screen.boxes) == 1000
    assert len(json.dumps(screen.to_json())) < 40_000
    most = Anchors(sizes_px=tuple((8.0 * 2**level,) * 3 for level in range(5)), ratios=(0.3, 0.5, 1.0, 2.0, 3.0))
    spent_s = []
    for _ in range(15):
        began = time.thread_time()  # the machine may be busy with other things
        screen.verdict(most, least=0.5)
        spent_s.append(time.thread_time() - began)
    assert median(spent_s) < 0.05  # 5 ms on a quiet machine, for as many anchors as the space has


def test_only_a_space_with_anchors_to_choose_is_screened():
    space = Space.default()
    fixed = {name: Fixed(value=value) for name, value in space.reference().items() if name.startswith("anchor_")}
    fixed |= {"anchor_octave_span": Fixed(value=1.0)}
    assert varies_anchors(space)
    assert not varies_anchors(space.replaced(fixed))
    assert not varies_anchors(space.replaced({}, anchors=Anchors()))


@pytest.fixture
def screened(database, plan) -> Plan:
    """Four trials on small objects. Trial 1 is a made-up point whose anchors are hopeless too."""
    return screen_small_objects(database, plan)


def screen_small_objects(database: Database, plan: Plan) -> Plan:
    create_optuna_study(database, plan.study)
    keep_box_sample(find_study(database, plan.study), AnchorScreen.of(small_objects(), FITTING, seed=0).to_json())
    return varied(plan, derived={"anchor_base": 16.0, "anchor_scales": 1}, trials=4)


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Database, Plan]]:
    """Such a study of 30 trials, at its end. Only to be looked at."""
    folder = tmp_path_factory.mktemp("worked")
    with Database.open(f"sqlite:///{folder / 'study.db'}") as database:
        plan = varied(screen_small_objects(database, analytic_plan(folder)), trials=30)
        assert work(database, plan) == ExitCode.DONE
        yield database, plan


def work(database: Database, plan: Plan) -> int:
    return Worker(find_study(database, plan.study), plan, stop=threading.Event()).run()


def trials_of(database: Database, plan: Plan) -> list[optuna.trial.FrozenTrial]:
    return load_optuna_study(database, plan.study).get_trials(deepcopy=False)


def refused_of(database: Database, plan: Plan) -> list[bool]:
    """Of each trial by number whether it was refused before any training."""
    outcomes = outcomes_by_trial(find_study(database, plan.study))
    return [trial.number in outcomes and outcomes[trial.number].refused for trial in trials_of(database, plan)]


def check_exact(database: Database, plan: Plan) -> list[optuna.trial.FrozenTrial]:
    """As many were trained as were asked for, and what was not has a reason and cost nothing. Returns the latter."""
    trials = trials_of(database, plan)
    outcomes = {record.trial: record for record in read_outcomes(find_study(database, plan.study))}
    was_refused = refused_of(database, plan)
    refused = [trial for trial in trials if was_refused[trial.number]]
    assert len(trials) - len(refused) == plan.specification.budget.trials
    assert sorted(outcomes) == list(range(len(trials)))
    for trial in trials:
        assert trial.state.is_finished()
        trained = bool(read_telemetry(find_study(database, plan.study), trial.number) or trial.intermediate_values)
        assert trained != was_refused[trial.number]
    for trial in refused:
        record = outcomes[trial.number]
        assert (record.outcome, record.cause, record.images) == (Outcome.HOPELESS, "anchors", 0)
        assert "the fit of the anchors is below" in record.message
        assert (trial.state, trial.constraints) == (TrialState.PRUNED, {"hopeless": 1.0, "0": 1.0})
        assert read_rungs(find_study(database, plan.study), trial.number) == []
    return refused


def test_hopeless_proposals_are_recorded_and_cost_none_of_the_budget(worked):
    database, plan = worked
    refused, was_refused = check_exact(database, plan), refused_of(database, plan)
    assert len(refused) >= 4
    screen = AnchorScreen.from_json(read_box_sample(find_study(database, plan.study)))
    for trial in trials_of(database, plan)[2:]:
        anchors = plan.space.configuration(trial.params).anchors
        assert (screen.verdict(anchors, least=0.5) is not None) == was_refused[trial.number]
    assert not (plan.folder / "trials" / plan.study / f"{refused[0].number:05d}").exists()


def test_the_reference_and_the_derived_trial_are_trained_whatever_their_anchors(worked):
    database, plan = worked
    screen = AnchorScreen.from_json(read_box_sample(find_study(database, plan.study)))
    for trial in trials_of(database, plan)[:2]:
        assert screen.verdict(plan.space.configuration(trial.params).anchors, least=0.5) is not None
        assert trial.intermediate_values


def test_the_sampler_learns_to_keep_away_from_hopeless_anchors(worked):
    was_refused = refused_of(*worked)
    trained = [number for number, refused in enumerate(was_refused) if not refused]
    startup_ends = trained[9]  # refused proposals are no start-up trials
    blind, taught = was_refused[2:startup_ends], was_refused[startup_ends + 1 :]
    assert sum(blind) / len(blind) > 0.3
    assert sum(taught) / len(taught) < sum(blind) / len(blind) / 2


def test_least_anchor_fit_zero_trains_every_proposal(database, screened):
    assert work(database, varied(screened, least_anchor_fit=0.0)) == ExitCode.DONE
    assert check_exact(database, screened) == []
    assert len(trials_of(database, screened)) == 4


def test_a_space_without_good_anchors_comes_to_an_end_and_says_so(database, screened, monkeypatch):
    monkeypatch.setattr(screening, "MOST_REFUSED", 3)
    parameters = dict(screened.space.parameters)
    large = screened.space.replaced({"anchor_base": replace(parameters["anchor_base"], low=15.0)})
    plan = varied(screened, space=large, trials=4)
    assert work(database, plan) == ExitCode.DONE
    check_exact(database, plan)
    # Trials 0 and 1 are given; then three are refused, the fourth is trained, and so once more.
    assert refused_of(database, plan) == [False] * 2 + [True, True, True, False] * 2
    messages = [
        record.message
        for record in read_outcomes(find_study(database, plan.study))
        if record.outcome == Outcome.HOPELESS
    ]
    assert ["trained whatever it is" in message for message in messages] == [False, False, True] * 2
    assert "doctor --write-space" in messages[2]


def test_somebodys_own_trial_is_trained_whatever_its_anchors(database, screened):
    study = create_optuna_study(database, screened.study)
    for _ in range(3):
        study.enqueue_trial({**screened.space.reference(), "anchor_base": 16.0})
    work(database, varied(screened, trials=3))
    assert refused_of(database, screened) == [False] * 3


def test_two_workers_refuse_alike_and_keep_the_budget(tmp_path, storage_url, database, screened, monkeypatch):
    monkeypatch.setenv("FRCNN_ANALYTIC_STEP_S", "0.001")
    assert two_at_once(storage_url, lambda own: work(own, screened)) == [ExitCode.DONE, ExitCode.DONE]
    check_exact(database, screened)


@pytest.mark.parametrize("point", ["after_claim", "before_tell", "between_outcome_and_tell", "after_tell"])
def test_a_worker_killed_over_a_hopeless_proposal_loses_and_doubles_nothing(tmp_path, storage_url, point):
    plan = Plan.of(found(storage_url, tmp_path, trials=2, seed=7), tmp_path)  # its first proposal is hopeless
    with Database.open(storage_url) as database:
        keep_box_sample(find_study(database, plan.study), AnchorScreen.of(small_objects(), FITTING, seed=0).to_json())
        study = create_optuna_study(database, plan.study)
        study.enqueue_trial(plan.space.reference())
        study.tell(study.ask(), 0.1)
        assert leave(start_worker(storage_url, tmp_path, FRCNN_CRASH_AT=point)) == -9
        assert leave(start_worker(storage_url, tmp_path), 300) == ExitCode.DONE
        trials = trials_of(database, plan)
        # Who takes a trial over can't know what its owner did with it, and trains it.
        assert refused_of(database, plan) == ([False, False] if point == "after_claim" else [False, True, False])
        assert all(trial.state.is_finished() for trial in trials)
        ends = [record.trial for record in read_outcomes(find_study(database, plan.study))]
        assert sorted(ends) == list(range(len(trials)))  # the first, which this test told, is one ended elsewhere


def test_status_progress_and_ranking_count_only_what_was_trained(worked):
    database, screened = worked
    refused = len(check_exact(database, screened))
    status, snapshot = (
        read_status(find_study(database, screened.study)),
        read_snapshot(find_study(database, screened.study), trials=30),
    )
    assert (status.finished, status.refused) == (snapshot.finished, refused) == (30, refused)
    assert sum(status.states.values()) == 30 + refused
    assert sum(status.outcomes.values()) == 30 + refused
    text = all_shown(database, screened)
    assert text.count(f"{refused} hopeless (their anchors miss the boxes)") == 2
    assert "[30/30] trial" in text
    assert "not trained, hopeless: the fit of the anchors is below" in text
    rows = [line for line in text.splitlines() if line.lstrip().startswith(("–", "1 ", "2 "))]
    assert not any("hopeless" in row for row in rows if "not trained" not in row)
