"""Planted failures and the one change that should mend each."""

from pathlib import Path
from typing import Any

import pytest

from detector.config import ConfigError
from search.explanation.cause import Cause, Remedy, diagnose
from search.explanation.neighbour import nearest_healthy
from search.explanation.repair import Area, Repair
from search.explanation.repair_choice import repaired, repairs
from search.explanation.study_edit import StudyEdit
from search.report.trial_history import TrialHistory
from tests.support.planting import Sown, diverged, healthy, imagine, planted_specification
from trial.outcome import Outcome

ONE_BY_ONE = {"space": {"optimizer": "sgd", "batch_size": [4, 8, 16]}}


@pytest.fixture
def sow(sample: Path) -> Any:
    """Gives the history of a study with those trials and sections."""

    def sow(*trials: Sown, **sections: Any) -> TrialHistory:
        return imagine(planted_specification("sqlite:///none.db", sample, **{**ONE_BY_ONE, **sections}), trials)

    return sow


def mended(history: TrialHistory, number: int) -> tuple[Cause, tuple[Repair, ...]]:
    """The cause and the repairs of a failed trial."""
    record = history.record(number)
    entry = diagnose(record, others_are_healthy=bool(history.healthy))
    assert entry is not None
    return entry.cause, repairs(record, history, entry, nearest_healthy(record, history))


@pytest.mark.parametrize(
    ("others", "expected", "reason"),
    [
        pytest.param([], 0.004, "a tenth", id="alone: 0.04 / 10"),
        pytest.param([healthy(0.002), healthy(0.01)], 0.01, "differs least (1)", id="the nearest, at 0.01 of 0.04"),
        pytest.param(
            [healthy(0.002), healthy(0.03)], 0.002, "clearly below", id="0.03 is above half of 0.04, so 0.002"
        ),
        pytest.param(
            [healthy(0.01, batch_size=8), healthy(0.002), healthy(0.03)],
            0.002,
            "this batch size",
            id="batch 8 tells less",
        ),
        pytest.param(
            [healthy(0.01, batch_size=8), healthy(0.03)],
            0.01,
            "at batch 8",
            id="another batch size, at the same lr_per_16",
        ),
    ],
)
def test_a_rate_that_is_too_high_goes_down_to_what_the_study_saw_healthy(
    sow: Any, others: list[Sown], expected: float, reason: str
) -> None:
    history = sow(*others, diverged(0.04), space={**ONE_BY_ONE["space"], "lr_per_16": {"high": 1.0}})
    cause, found = mended(history, len(others))
    assert cause is Cause.RATE_TOO_HIGH
    lower = next(repair for repair in found if repair.remedy is Remedy.LOWER_RATE)
    assert (lower.parameter, lower.before, lower.after) == ("lr_per_16", 0.04, pytest.approx(expected))
    assert reason in lower.reason


def test_a_rate_below_every_diverged_one_is_preferred_to_a_higher_that_was_healthy_by_luck(sow: Any) -> None:
    space = {**ONE_BY_ONE["space"], "lr_per_16": {"high": 1.0}}
    history = sow(healthy(0.03, clip_norm=1.0), healthy(0.005), diverged(0.01), diverged(0.09), space=space)
    assert mended(history, 3)[1][0].after == pytest.approx(0.005)  # not 0.03, for 0.01 diverged


@pytest.mark.parametrize(("weights", "limit"), [("none", 0.02), ("imagenet", 0.08)])
def test_no_rate_is_above_the_doctors_own_limit_whatever_stayed_healthy(sow: Any, weights: str, limit: float) -> None:
    space, detector = {**ONE_BY_ONE["space"], "lr_per_16": {"high": 4.0}}, {"canvas": "96x128", "weights": weights}
    for others in ([], [healthy(0.5)]):
        history = sow(*others, diverged(2.0), space=space, detector=detector)
        repair = mended(history, len(others))[1][0]
        assert (repair.after, repair.reason) == (limit, "the highest rate that the doctor proposes")
    dead = Sown(outcome=Outcome.NOT_LEARNING, values={"lr_per_16": 0.01}, rule="not learning")
    assert mended(sow(dead, space=space, detector=detector), 0)[1][0].after == limit
    at_it = Sown(outcome=Outcome.NOT_LEARNING, values={"lr_per_16": limit}, rule="not learning")
    assert mended(sow(at_it, space=space, detector=detector), 0)[1][0].remedy is Remedy.EXAMINE_DATA


def test_where_another_trial_was_healthy_at_this_rate_the_nearest_ones_own_difference_comes_first(sow: Any) -> None:
    history = sow(healthy(0.05, clip_norm=5.0), diverged(0.05, clip_norm=90.0))
    _, found = mended(history, 1)
    assert (found[0].remedy, found[0].before, found[0].after) == (Remedy.CLIP_LOWER, 90.0, 5.0)


def test_a_failure_after_a_spike_in_the_first_steps_asks_for_a_longer_warm_up(sow: Any) -> None:
    spiked = Sown(
        outcome=Outcome.DIVERGED,
        values={"lr_per_16": 0.05, "warmup_fraction": 0.01},
        rule="exploding",
        images=160,
        evidence={"warnings": "gradient spike at step 3: the gradient norm jumped to 900, 40 times its running mean"},
    )
    cause, found = mended(sow(healthy(0.01), spiked), 1)
    assert cause is Cause.WARM_UP_TOO_SHORT
    assert (found[0].parameter, found[0].after) == ("warmup_fraction", pytest.approx(0.1))  # max(0.1, 3 × 0.01)


@pytest.mark.parametrize(
    ("values", "cause"),
    [
        pytest.param({"lr_per_16": 0.08}, Cause.WARM_UP_TOO_SHORT, id="4 times the reference"),
        pytest.param({"lr_per_16": 0.16}, Cause.RATE_TOO_HIGH, id="16 images' rate at a batch of 2"),
    ],
)
@pytest.mark.parametrize("rule", ["exploding", "gradient spike"])
def test_a_rate_far_above_the_reference_is_to_blame_whatever_the_warm_up(
    sow: Any, rule: str, values: dict[str, float], cause: Cause
) -> None:
    warned = {"warnings": "gradient spike at step 3: the gradient norm jumped to 900, 40 times its running mean"}
    spiked = Sown(outcome=Outcome.DIVERGED, values=values, rule=rule, images=160, evidence=warned)
    space = {**ONE_BY_ONE["space"], "lr_per_16": {"high": 1.0}}
    found, repairs = mended(sow(healthy(0.01), spiked, space=space), 1)
    assert found is cause
    expected = Remedy.LOWER_RATE if cause is Cause.RATE_TOO_HIGH else Remedy.LONGER_WARM_UP
    assert repairs[0].remedy is expected


@pytest.mark.parametrize(
    ("sown", "cause", "remedy", "area"),
    [
        pytest.param(
            Sown(outcome=Outcome.NOT_LEARNING, values={"lr_per_16": 1e-4}, rule="not learning"),
            Cause.RATE_TOO_LOW, Remedy.RAISE_RATE, Area.PARAMETER, id="dead",
        ),
        pytest.param(
            Sown(outcome=Outcome.NOT_LEARNING, values={"anchor_base": 16.0}, rule="no positives"),
            Cause.ANCHORS, Remedy.FIT_ANCHORS, Area.STUDY, id="no positives",
        ),
        pytest.param(
            Sown(outcome=Outcome.DIVERGED, values={"rpn_lr_factor": 4.0}, rule="degenerate proposals", term="rpn"),
            Cause.RATE_TOO_HIGH, Remedy.LOWER_RPN_FACTOR, Area.PARAMETER, id="RPN explodes",
        ),
        pytest.param(
            Sown(outcome=Outcome.BAD_DATA, rule="corrupt sample", evidence={"images": "a.png\nb.png"}),
            Cause.CORRUPT_SAMPLE, Remedy.MEND_IMAGES, Area.DATA, id="one image",
        ),
        pytest.param(
            Sown(outcome=Outcome.BAD_DATA), Cause.DATA, Remedy.EXAMINE_DATA, Area.DATA, id="a file can't be read"
        ),
        pytest.param(
            Sown(outcome=Outcome.INTERRUPTED, rule="features", step=0),
            Cause.BAD_START, Remedy.EXAMINE_START, Area.STUDY, id="wrong weights stop the study",
        ),
        pytest.param(
            Sown(outcome=Outcome.INTERRUPTED, rule="pixel scaling", step=4),
            Cause.PIXELS, Remedy.EXAMINE_DATA, Area.DATA, id="pixels",
        ),
        pytest.param(
            Sown(outcome=Outcome.OUT_OF_MEMORY), Cause.MEMORY, Remedy.SMALLER_MICRO_BATCH, Area.STUDY, id="memory"
        ),
        pytest.param(Sown(outcome=Outcome.CRASHED), Cause.TRAINER, Remedy.READ_LOG, Area.MACHINE, id="killed"),
    ],
)  # fmt: skip
def test_every_family_of_failures_has_its_repair(
    sow: Any, sown: Sown, cause: Cause, remedy: Remedy, area: Area
) -> None:
    found_cause, found = mended(sow(healthy(0.01), sown), 1)
    assert found_cause is cause
    assert (found[0].remedy, found[0].area) == (remedy, area)


def test_a_background_collapse_is_the_labels_fault_only_where_no_trial_was_healthy(sow: Any) -> None:
    collapsed = Sown(outcome=Outcome.NOT_LEARNING, rule="background collapse", values={"batch_size": 4})
    assert mended(sow(collapsed), 0)[1][0].remedy is Remedy.EXAMINE_DATA
    assert mended(sow(healthy(), collapsed, name="other"), 1)[1][0].area is Area.PARAMETER


def test_derived_anchors_are_one_change_of_several_numbers(sow: Any) -> None:
    derived = {"anchor_base": 3.0, "anchor_scales": 2, "anchor_octave_span": 1.0, "anchor_ratios": 1}
    missed = Sown(outcome=Outcome.NOT_LEARNING, values={"anchor_base": 16.0}, rule="no positives")
    history = sow(healthy(), missed, derived=derived)
    repair = mended(history, 1)[1][0]
    assert (repair.parameter, dict(repair.values)) == ("anchors", derived)
    anchors = repaired(history.record(1), history, repair).anchors
    assert anchors.sizes_px[0] == pytest.approx((3.0 * 4, 3.0 * 4 * 2**0.5))
    assert anchors.ratios == (1.0,)


def test_a_repair_ends_where_the_studys_range_does_if_that_is_most_of_the_way(sow: Any) -> None:
    history = sow(diverged(0.05), space={**ONE_BY_ONE["space"], "lr_per_16": {"low": 0.01, "high": 0.1}})
    repair = mended(history, 0)[1][0]
    assert (repair.after, repair.study_edit) == (
        0.01,
        None,
    )  # of the way to 0.005 in factors: 5 of 10, so log 5 / log 10
    assert "as far as the study's range goes; 0.005 would be a tenth" in repair.reason


@pytest.mark.parametrize("entry", [{"low": 0.02, "high": 0.1}, [0.03, 0.05], 0.05])
def test_a_rate_outside_of_the_space_asks_for_the_doctors_range(sow: Any, entry: Any) -> None:
    history = sow(diverged(0.05), space={**ONE_BY_ONE["space"], "lr_per_16": entry})
    repair = mended(history, 0)[1][0]
    assert repair.after == pytest.approx(0.005)
    assert "outside of the study's space" in repair.reason
    doctors = {"low": 0.0002, "high": 0.02, "log": True}  # from scratch: from a hundredth of Detectron2's to its own
    assert repair.study_edit == StudyEdit(settings={"space": {"lr_per_16": doctors}})
    assert repaired(history.record(0), history, repair).lr_per_16 == pytest.approx(0.005)


@pytest.mark.parametrize(
    ("entry", "widened"),
    [
        pytest.param({"low": 50.0, "high": 90.0}, {"low": 9.0, "high": 90.0, "log": True}, id="a range"),
        pytest.param([70, 90], [70.0, 90.0, 9.0], id="choices"),
        pytest.param(90, {"low": 9.0, "high": 90.0, "log": True}, id="one value"),
    ],
)
def test_another_value_outside_of_the_space_widens_it_by_as_much(sow: Any, entry: Any, widened: Any) -> None:
    history = sow(diverged(0.01, clip_norm=90.0), space={**ONE_BY_ONE["space"], "clip_norm": entry})
    repair = next(each for each in mended(history, 0)[1] if each.remedy is Remedy.CLIP_LOWER)
    assert repair.study_edit == StudyEdit(settings={"space": {"clip_norm": widened}})


def test_anchors_that_the_study_names_are_deleted_before_the_doctor_derives_some(sow: Any) -> None:
    missed = Sown(outcome=Outcome.NOT_LEARNING, rule="no positives")
    own = {"anchors": {"sizes_px": [500], "ratios": [1]}}
    edit = mended(sow(missed, space={**ONE_BY_ONE["space"], **own}), 0)[1][0].study_edit
    assert edit == StudyEdit(removed=("anchors",), by_doctor=True)
    edit = mended(sow(missed, space={**ONE_BY_ONE["space"], "anchor_base": 16}), 0)[1][0].study_edit
    assert edit == StudyEdit(removed=("anchor_base",), by_doctor=True)


def test_a_healthy_trial_has_no_entry_unless_the_watch_warned(sow: Any) -> None:
    warned = Sown(evidence={"warnings": "low-quality matches at step 9: 99% of the positives are forced"})
    history = sow(healthy(), warned)
    assert diagnose(history.record(0), others_are_healthy=True) is None
    entry = diagnose(history.record(1), others_are_healthy=True)
    assert entry is not None
    assert entry.cause is Cause.ANCHORS


def test_an_unknown_trial_is_an_error_that_names_those_there_are(sow: Any) -> None:
    with pytest.raises(ConfigError, match="no trial 9 that has begun; they are 0 to 1"):
        sow(healthy(), healthy()).record(9)
