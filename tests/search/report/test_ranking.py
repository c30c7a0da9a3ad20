"""The ranking of a hand-made study, and what holds for any."""

import io
from datetime import datetime

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import FrozenTrial, TrialState, create_trial
from rich.console import Console

from search.report.ranking import RankedTrial, best, first_trial_text, ranked, ranking, ranking_table, reference_text
from spaces.faster_rcnn import Space
from spaces.parameters import Categorical, Float
from storage.connection.database import Database
from storage.connection.errors import StorageError
from storage.records import OutcomeRecord, RungRecord
from storage.study import find_study
from trial.outcome import Outcome


@pytest.fixture
def places(database: Database, study: optuna.Study) -> list[RankedTrial]:
    return ranking(find_study(database, study.study_name))


def test_the_highest_rung_ranks_first_and_ap_decides_only_within_a_rung(places: list[RankedTrial]) -> None:
    # Rung 3: trial 3 (.42 after 324 images) and trial 0 (.30 after 320); rung 1: trial 1 (.35) and trial 5 (.05).
    assert [(place.number, place.rung, place.ap) for place in places if place.rank is not None] == [
        (3, 3, 0.42),
        (0, 3, 0.30),
        (1, 1, 0.35),
        (5, 1, 0.05),
    ]
    assert [place.rank for place in places] == [1, 2, 3, 4, None, None]


def test_diverged_and_crashed_trials_never_rank_however_good_they_were(places: list[RankedTrial]) -> None:
    unranked = {place.number: place for place in places if place.rank is None}
    assert set(unranked) == {2, 4}
    assert not unranked[2].feasible
    assert unranked[4].ap == 0.5
    assert unranked[2].ending == "diverged: the RPN's box loss exploded"


def test_a_running_trial_says_so_and_a_waiting_one_is_left_out(places: list[RankedTrial]) -> None:
    running = next(place for place in places if place.number == 5)
    assert (running.ending, running.outcome) == ("running", None)
    assert 6 not in {place.number for place in places}


def test_only_parameters_that_differ_are_kept(places: list[RankedTrial]) -> None:
    assert places[0].parameters == {"lr_per_16": 0.04, "batch_size": 12}


def test_an_unknown_study_is_an_error_that_names_the_known_ones(database: Database, study: optuna.Study) -> None:
    with pytest.raises(StorageError, match="blood cells"):
        ranking(find_study(database, "blood sells"))


def test_nothing_is_best_while_nothing_has_a_value() -> None:
    assert best(ranked([_trial(0, TrialState.RUNNING)], [], [])) is None


@pytest.mark.parametrize("width", [80, 100])
def test_the_table_fits_the_terminal_and_marks_the_reference(places: list[RankedTrial], width: int) -> None:
    console = Console(width=width, file=io.StringIO())
    with console.capture() as captured:
        console.print(ranking_table(places))
    text = captured.get()
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    for expected in ("0*", "0.420", "diverged:", "exploded", "324", "lr/16", "batch", "trial 0: the reference"):
        assert expected in text


def test_the_caption_tells_where_the_space_keeps_the_reference_from_the_defaults(places: list[RankedTrial]) -> None:
    assert reference_text(None) == reference_text(Space.default()) == "Detectron2's defaults"
    # The defaults are a batch of 16 images and a rate of 0.02 for them.
    narrow = {"batch_size": Categorical(values=(4, 8)), "lr_per_16": Float(low=0.001, high=0.01, log=True)}
    space = Space.default().replaced(narrow)
    console = Console(width=200, file=io.StringIO())
    with console.capture() as captured:
        console.print(ranking_table(places, space))
    caption = "* trial 0: the reference, Detectron2's defaults, but lr_per_16 0.01 for 0.02, batch_size 8 for 16"
    assert caption in " ".join(captured.get().split())  # it may go on in the next line


def _trial(number: int, state: TrialState) -> FrozenTrial:
    trial = create_trial(state=state, value=0.0 if state is TrialState.COMPLETE else None)
    trial.number, trial.datetime_start = number, datetime(2026, 1, 1)
    return trial


aps = st.floats(0, 1) | st.just(float("nan"))


@st.composite
def studies(draw: st.DrawFn) -> tuple[list[FrozenTrial], list[OutcomeRecord], list[RungRecord]]:
    states = draw(st.lists(st.sampled_from(TrialState), max_size=8))
    trials = [_trial(number, state) for number, state in enumerate(states)]
    outcomes = [
        OutcomeRecord(
            trial=number,
            outcome=draw(st.sampled_from(Outcome)),
            cause="",
            message="",
            step=1,
            images=1,
            recorded_at=datetime(2026, 1, 1),
        )
        for number in range(len(trials))
        if draw(st.booleans())
    ]
    rungs = [
        RungRecord(trial=n, images=i, step=i, ap=draw(aps), metrics={}, training_s=0.0, evaluation_s=0.0)
        for n in range(len(trials))
        for i in range(draw(st.integers(0, 3)))
    ]
    return trials, outcomes, rungs


@given(studies())
def test_ranks_are_1_to_n_without_gaps_and_follow_rung_then_ap(
    study: tuple[list[FrozenTrial], list[OutcomeRecord], list[RungRecord]],
) -> None:
    places = ranked(*study)
    infeasible = {record.trial for record in study[1] if record.outcome.infeasible}
    winners = [place for place in places if place.rank is not None]
    assert [place.rank for place in winners] == list(range(1, len(winners) + 1))
    assert infeasible.isdisjoint(place.number for place in winners)
    keys = [(place.rung, place.ap) for place in winners]
    assert keys == sorted(keys, reverse=True)
    assert {place.number for place in places} == {t.number for t in study[0] if t.state is not TrialState.WAITING}


def test_a_trial_0_that_was_imported_is_named_by_its_file():
    assert first_trial_text(Space.default(), "config.yaml (Detectron2)").startswith("config.yaml (Detectron2) as it is")
    assert first_trial_text(None, None) == "the reference, Detectron2's defaults"
