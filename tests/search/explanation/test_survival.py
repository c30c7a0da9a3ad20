"""Cuts through planted studies: found where there is a boundary, silent where there is none."""

from pathlib import Path

import numpy as np
import pytest

from search.explanation.effects.survival import LARGEST_CHANCE, cuts, narrowed
from search.report.trial_history import TrialHistory
from spaces.faster_rcnn import Space
from spaces.parameters import Categorical, Float
from spaces.section import parse, write_parameter
from tests.support.planting import Sown, diverged, healthy, imagine, planted_specification
from trial.outcome import Outcome

RATES = np.geomspace(1e-3, 0.1, 12).tolist()


def history_of(sample: Path, trials: list[Sown]) -> TrialHistory:
    space = {"optimizer": ["sgd", "adam"], "lr_per_16": {"low": 1e-4, "high": 1.0}}
    return imagine(planted_specification("sqlite:///none.db", sample, space=space), trials)


def test_a_boundary_of_the_learning_rate_is_found_between_the_trials_on_its_two_sides(sample: Path) -> None:
    trials = [diverged(rate) if rate > 0.02 else healthy(rate) for rate in RATES]  # 0.0187 is healthy, 0.0285 is not
    (cut,) = cuts(history_of(sample, trials))
    assert (cut.parameter, cut.worse) == ("lr_per_16", "above")
    assert 0.0187 < float(cut.limit) < 0.0285
    assert (cut.failed_worse, cut.trials_worse, cut.failed_other, cut.trials_other) == (4, 4, 0, 8)
    assert cut.chance < 0.02


def test_too_small_a_rate_is_cut_off_below(sample: Path) -> None:
    dead = [Sown(outcome=Outcome.NOT_LEARNING, values={"lr_per_16": rate}) for rate in RATES[:6]]
    (cut,) = cuts(history_of(sample, [*dead, *(healthy(rate) for rate in RATES[6:])]))
    assert cut.worse == "at or below"
    assert narrowed(Space.default(), [cut])["lr_per_16"] == Float(low=float(cut.limit), high=0.1, log=True)


def test_a_choice_by_which_trials_fail_is_dropped(sample: Path) -> None:
    adam = [Sown(outcome=Outcome.DIVERGED, values={"optimizer": "adam"}) for _ in range(8)]
    found = cuts(history_of(sample, [*adam, *(healthy(rate) for rate in RATES[:8])]))
    assert narrowed(Space.default(), found)["optimizer"] == Categorical(values=("sgd",))


def test_crashes_and_bad_data_say_nothing_of_a_parameter(sample: Path) -> None:
    crashed = [Sown(outcome=Outcome.CRASHED, values={"lr_per_16": rate}) for rate in RATES[6:]]
    assert cuts(history_of(sample, [*crashed, *(healthy(rate) for rate in RATES[:6])])) == ()


def test_failures_at_random_are_told_no_oftener_than_promised(sample: Path) -> None:
    generator, told, tested = np.random.default_rng(1), 0, 0
    for _ in range(6):
        trials = []
        for _ in range(24):
            values = {
                "momentum": generator.uniform(0.8, 0.98),
                "weight_decay": 10 ** generator.uniform(-6, -2),
                "augmentation": generator.uniform(0, 1),
                "clip_norm": 10 ** generator.uniform(0, 2),
                "anchor_base": 2 ** generator.uniform(1, 4),
            }
            outcome = Outcome.DIVERGED if generator.random() < 0.5 else Outcome.COMPLETE
            trials.append(Sown(outcome=outcome, values=values))
        told += len(cuts(history_of(sample, trials)))
        tested += len(values)
    assert told <= 3  # of 30 at 2 %: 0.6 are expected, and 4 or more come in 0.3 % of runs
    assert tested == 30
    assert LARGEST_CHANCE == 0.02


@pytest.mark.parametrize("failing", [Outcome.DIVERGED, Outcome.COMPLETE])
def test_where_all_ended_alike_there_is_nothing_to_cut(sample: Path, failing: Outcome) -> None:
    trials = [Sown(outcome=failing, values={"lr_per_16": rate}) for rate in RATES]
    assert cuts(history_of(sample, trials)) == ()


def test_the_narrowed_ranges_can_be_pasted_into_a_study_file(sample: Path) -> None:
    trials = [diverged(rate, batch_size=4) if rate > 0.01 else healthy(rate, batch_size=16) for rate in RATES]
    history = history_of(sample, trials)
    space = narrowed(history.space, cuts(history))
    assert {"lr_per_16", "batch_size"} <= set(space)
    pasted = parse({name: write_parameter(parameter) for name, parameter in space.items()}, history.space)
    assert {name: pasted.parameters[name] for name in space} == space
