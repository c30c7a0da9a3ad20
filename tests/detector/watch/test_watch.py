"""The watch: each rule fires when it should, within its window, and none on healthy trials."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from detector.config import Canvas, Hyperparameters, StepShape
from detector.watch.finding import Finding, Severity, TrialContext
from detector.watch.health import COMPONENTS, FIGURES, LOSSES, unpack
from detector.watch.watch import Watch, rules, trial_context
from trial.outcome import Outcome

CONTEXT = TrialContext(budget_steps=1000, warmup_steps=11, peak_learning_rate=0.02, classes=3)
LN_2, LN_4 = math.log(2), math.log(4)
RECORDED = json.loads((Path(__file__).parent / "healthy_figures.json").read_text())

Row = dict[str, float]


def figures(loss: float = 1.0, *, update: float = 1e-3, **named: float) -> Row:
    """A healthy step with that loss."""
    values = dict.fromkeys(FIGURES, 0.0) | dict.fromkeys(LOSSES, loss / len(LOSSES))
    values |= {f"update_ratio_{name}": update for name in COMPONENTS}
    values |= {f"gradient_norm_{name}": 3.0 for name in COMPONENTS}
    values |= {"sampled_anchors": 256.0, "sampled_rois": 512.0, "boxes": 3.0, "foreground_rois": 64.0}
    values |= {"positive_anchors": 12.0, "low_quality_anchors": 4.0, "foreground_proposals": 60.0}
    values |= {"valid_proposals": 900.0, "proposal_recall": 0.6, "foreground_accuracy": 0.7, "false_negatives": 0.2}
    values |= {"feature_rms": 1.5, "pixel_deviation": 50.0, "pixel_mean": 5.0, "max_objectness": 3.0}
    values |= {"gradient_norm": 6.0, "learning_rate": 0.02, "first_bad_step": -1.0}
    return {"loss": loss, **values, **named}


def opening(**named: float) -> Row:
    """A healthy step 0: heads that know nothing."""
    return figures(2.5, loss_rpn_class=LN_2, loss_roi_class=LN_4, false_negatives=1.0, foreground_accuracy=0.0) | named


def trial(rest: Row | Callable[[int], Row], steps: int = 400, first: Row | None = None) -> list[Row]:
    row = rest if callable(rest) else lambda step: rest
    return [first or opening(), *(row(step) for step in range(1, steps))]


def found_in(curve: list[Row], context: TrialContext = CONTEXT) -> dict[str, int]:
    """The step at which each rule fires first, by its name."""
    found: dict[str, int] = {}
    watch = Watch(context)
    for step, row in enumerate(curve):
        for finding in watch.findings(step, row):
            found.setdefault(finding.rule, finding.step)
    return found


def first_finding(curve: list[Row], budget_steps: int = 1000) -> Finding | None:
    watch = Watch(TrialContext(budget_steps=budget_steps, peak_learning_rate=0.02, classes=3))
    return next((found for step, row in enumerate(curve) if (found := watch.observe(step, row))), None)


def spike(step: int) -> Row:
    return figures(gradient_norm=70.0 if step == 12 else 6.0)  # 70 is more than 10 × 6


#: Rule, a trial in which it alone fires, and the step at which it does, counted from 0.
FAULTS = [
    # preprocessing divided by 255: [0, 1] less the means 104 … 124 has mean -116 and deviation 0.3; five batches of it
    ("pixel scaling", trial(figures(pixel_mean=-116.0, pixel_deviation=0.3), first=opening(pixel_deviation=0.3)), 4),
    ("pixel scaling", trial(figures(pixel_deviation=2e4), first=opening(pixel_deviation=2e4)), 4),  # 16-bit as it is
    ("features", trial(figures(), first=opening(feature_rms=4e6)), 0),  # identity batch norm
    ("features", trial(figures(), first=opening(feature_rms=0.001)), 0),
    ("losses at step 0", trial(figures(), first=opening(loss_roi_class=math.log(81))), 0),  # |4.39 - 1.39| > 1
    ("losses at step 0", trial(figures(), first=opening(loss_rpn_class=0.55)), 0),  # |0.55 - 0.693| > 0.1
    # half the slots are in use, so half of ln 2 is expected, and 0.65 is too much
    ("losses at step 0", trial(figures(), first=opening(sampled_anchors=128.0, loss_rpn_class=0.65)), 0),
    ("label range", trial(figures(largest_label=2.5)), 1),  # of two micro-batches with 2 and 3, of 3 classes 0 to 2
    ("not finite", trial(lambda s: figures(first_bad_step=7.0, first_bad_terms=1.0) if s > 6 else figures()), 7),
    ("exploding", trial(figures(), first=opening(loss_rpn_box=2e3)), 0),
    ("update too large", trial(figures(update_ratio_rpn=0.2)), 5),  # steps 1 to 5
    ("saturated logits", trial(lambda step: figures(max_objectness=float(step))), 55),  # 51 to 55 are over 50
    ("saturated logits", trial(figures(max_class_logit=120.0)), 5),
    ("degenerate proposals", trial(figures(clamped_deltas=0.3)), 5),
    ("few proposals", trial(figures(valid_proposals=32.0)), 49),  # (900 + 49 × 32) / 50 = 49.4; 5 % of 1000 slots is 50
    ("gradient spike", trial(spike), 12),
    ("no positives", trial(figures(positive_anchors=0.0, low_quality_anchors=0.0)), 49),  # (12 + 49 × 0) / 50 < 1
    ("not learning", trial(figures(update=1e-9)), 250),  # a quarter of the budget
    ("idle part", trial(figures(update_ratio_rpn=1e-9)), 250),
    ("rpn stuck", trial(figures(proposal_recall=0.1)), 311),  # 300 past a warm-up of 11
    ("roi head starved", trial(figures(foreground_proposals=2.0)), 311),  # 2 of 512
    ("background collapse", trial(figures(foreground_accuracy=0.0, false_negatives=1.0)), 310),  # 11 to 310: 300 steps
    ("low-quality matches", trial(figures(positive_anchors=4.0)), 20),  # step 0, with 4 of 12, has left the window
    (
        "low-quality matches",
        trial(figures(low_quality_anchors=90.0, positive_anchors=150.0)),
        19,
    ),  # about 30 for each box
    ("unusual pixels", trial(figures(pixel_deviation=5.0), first=opening(pixel_deviation=5.0)), 4),
]

IMPLIED = {"pixel scaling": {"unusual pixels"}}


@pytest.mark.parametrize(
    ("rule", "curve", "step"), FAULTS, ids=[f"{rule}-{n}" for n, (rule, _, _) in enumerate(FAULTS)]
)
def test_a_rule_fires_on_its_fault_alone_and_in_time(rule: str, curve: list[Row], step: int) -> None:
    found = found_in(curve)
    assert next(iter(found.items())) == (rule, step)
    assert found.keys() - {rule} <= IMPLIED.get(rule, set())


def test_every_rule_has_a_fault_in_the_table() -> None:
    assert {rule for rule, _, _ in FAULTS} == {rule.name for rule in rules(CONTEXT, Watch(CONTEXT).limits)}


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (figures(), "healthy"),
        (figures(pixel_mean=-90.0, pixel_deviation=20.0), "a dark X-ray"),
        (figures(sampled_rois=20.0, loss_roi_class=LN_4 * 20 / 512), "few proposals: few RoIs, so a small loss"),
        (figures(boxes=0.2, positive_anchors=0.3), "few objects: few positives"),
        (figures(foreground_rois=0.0, false_negatives=1.0, foreground_accuracy=0.0), "no object was sampled"),
        (figures(proposal_recall=0.15) | {"proposal_recall": 0.21}, "a low recall, but not that low"),
        (figures(update_ratio_backbone=0.0, gradient_norm_backbone=0.0), "a frozen backbone is not idle"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_looks_like_a_fault_and_is_none_ends_no_trial(row: Row, why: str) -> None:
    curve = trial(row, first=opening(**{name: row[name] for name in ("pixel_mean", "pixel_deviation", "boxes")}))
    assert first_finding(curve) is None


def test_heads_that_were_trained_before_may_be_sure_at_step_0() -> None:
    sure = opening(loss_roi_class=0.1, loss_rpn_class=0.05)
    assert found_in(trial(figures(), first=sure)) == {"losses at step 0": 0}
    assert found_in(trial(figures(), first=sure), replace(CONTEXT, fresh_heads=False)) == {}


@pytest.mark.parametrize("recorded", RECORDED["trials"], ids=lambda recorded: recorded["name"])
def test_no_rule_ends_a_healthy_trial_that_was_recorded(recorded: dict) -> None:
    rows = [unpack(np.array(row)) for row in recorded["figures"]]
    context = TrialContext(**recorded["course"])
    watch = Watch(context)
    assert len(rows) >= 20
    assert [watch.observe(step, row) for step, row in enumerate(rows)] == [None] * len(rows)


def test_a_warning_is_kept_once_and_ends_nothing() -> None:
    watch = Watch(CONTEXT)
    for step, row in enumerate(trial(spike, steps=40)):
        assert watch.observe(step, row) is None
    assert [(w.step, w.severity) for w in watch.warnings.values()] == [(12, Severity.WARNING)]
    assert "12 times" in watch.warnings["gradient spike"].message  # 70 / 6 is 11.7


def test_what_no_hyperparameter_mends_is_said_of_the_study() -> None:
    finding = first_finding(trial(figures(), first=opening(feature_rms=4e6)))
    assert finding is not None
    assert (finding.outcome, finding.severity) == (Outcome.BAD_DATA, Severity.STUDY)


def test_the_first_term_that_was_not_finite_is_the_cause() -> None:
    bad = figures(first_bad_step=3.0, first_bad_terms=float(0b00010))
    finding = first_finding([opening(), *[figures()] * 2, bad])
    assert finding is not None
    assert (finding.outcome, finding.cause, finding.step) == (Outcome.DIVERGED, "loss_rpn_box", 3)


def test_an_overflowing_gradient_is_named_when_every_loss_was_finite() -> None:
    finding = first_finding([opening(first_bad_step=0.0, first_bad_terms=float(0b10000))])
    assert finding is not None
    assert finding.cause == "gradient"


def test_a_loss_that_stays_finite_but_explodes_is_found_within_20_steps() -> None:
    curve = [opening(), *[figures(2.0)] * 39, *(figures(2.0 * 1.6**step) for step in range(1, 40))]
    finding = first_finding(curve)
    assert finding is not None
    assert finding.outcome is Outcome.DIVERGED
    left_its_range = 40 + math.ceil(math.log(10, 1.6))  # the first step beyond ten times the start
    assert left_its_range <= finding.step <= left_its_range + 20


def test_weights_that_do_not_move_are_not_learning() -> None:
    finding = first_finding(trial(figures(update=1e-9), steps=100), budget_steps=100)
    assert finding is not None
    assert (finding.outcome, finding.step) == (Outcome.NOT_LEARNING, 25)


def test_a_tiny_update_during_warm_up_or_after_decay_is_meant() -> None:
    warm_up = [opening(), *[figures(update=1e-9, learning_rate=2e-8)] * 9]
    decayed = [figures(update=1e-7, learning_rate=2e-4)] * 60  # a hundredth of the peak: 1e-5 there
    assert first_finding([*warm_up, *[figures()] * 30, *decayed], budget_steps=100) is None


EXTREMES = st.sampled_from([0.0, 1.0, 5e-324, 1e-8, 3e38, 1e308, math.nan, math.inf, -1.0])
MEASURED = st.sampled_from(sorted(name for name in opening() if not name.startswith("first_bad")))
ROWS = st.dictionaries(MEASURED, EXTREMES, max_size=6)


@given(runs=st.lists(st.tuples(ROWS, st.integers(1, 12)), min_size=1, max_size=6))
@example(runs=[({"boxes": 1e308}, 60)])
@example(runs=[({}, 12), ({"loss": 1e308}, 8)])
def test_no_figures_that_a_step_may_have_end_the_watch(runs):
    found_in([figures() | row for row, steps in runs for _ in range(steps)])


def test_a_jump_from_no_gradient_at_all_is_no_spike():
    still = [opening(gradient_norm=0.0), *(figures(gradient_norm=0.0) for _ in range(6))]
    assert "gradient spike" not in found_in([*still, figures(gradient_norm=6.0)])


@given(seed=st.integers(0, 1000), noise=st.floats(0, 0.5), start=st.floats(0.5, 8))
def test_a_noisy_curve_that_falls_never_alarms(seed: int, noise: float, start: float) -> None:
    random = np.random.default_rng(seed)
    curve = [figures(float(start * math.exp(-step / 50) * random.lognormal(0, noise) + 0.3)) for step in range(1, 120)]
    assert first_finding([opening(), *curve]) is None


@pytest.mark.parametrize("spike", [5.0, 15.0])
def test_a_single_spike_does_not_end_a_trial(spike: float) -> None:
    curve = [opening(), *[figures(1.0)] * 29, figures(spike), *[figures(1.0)] * 30]
    assert first_finding(curve) is None


def test_the_context_follows_budget_and_batch_size() -> None:
    shape = StepShape(
        canvas=Canvas(height_px=64, width_px=64), micro_batch=4, anchors_per_cell=3, boxes_per_image=8, classes=5
    )
    context = trial_context(
        Hyperparameters(batch_size=8, lr_per_16=0.02, warmup_fraction=0.1), shape, budget_images=801
    )
    # 801 / 8 = 100.1 steps; a tenth of 801 images is 80, or 10 steps; 0.02 × 8 / 16
    assert (context.budget_steps, context.warmup_steps, context.peak_learning_rate) == (101, 10, 0.01)
    assert (context.classes, context.anchor_samples, context.roi_samples, context.proposals) == (5, 256, 512, 1000)
