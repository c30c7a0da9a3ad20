"""The divergence watch: each rule fires when it should, within its window, and not on healthy curves."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.health import FIGURES, LOSSES
from detector.network import COMPONENTS
from detector.watch import Failing, Finding, Watch


def figures(loss: float = 1.0, *, update: float = 1e-3, **named: float) -> dict[str, float]:
    values = dict.fromkeys(FIGURES, 0.0) | dict.fromkeys(LOSSES, loss / len(LOSSES))
    values |= {f"update_ratio_{name}": update for name in COMPONENTS}
    return {"loss": loss, **values, "first_bad_step": -1.0, "learning_rate": 0.02, **named}


def first_finding(curve: list[dict[str, float]], budget_steps: int = 1000) -> Finding | None:
    watch = Watch(budget_steps)
    return next((found for step, row in enumerate(curve) if (found := watch.observe(step, row))), None)


def test_the_first_term_that_was_not_finite_is_the_cause() -> None:
    bad = figures(first_bad_step=3.0, first_bad_terms=float(0b00010))
    finding = first_finding([figures()] * 3 + [bad])
    assert finding is not None
    assert (finding.kind, finding.cause, finding.step) == (Failing.DIVERGED, "loss_rpn_box", 3)


def test_an_overflowing_gradient_is_named_when_every_loss_was_finite() -> None:
    finding = first_finding([figures(first_bad_step=0.0, first_bad_terms=float(0b10000))])
    assert finding is not None
    assert finding.cause == "gradient"


def test_a_loss_that_stays_finite_but_explodes_is_found_within_20_steps() -> None:
    curve = [figures(2.0)] * 40 + [figures(2.0 * 1.6**step) for step in range(1, 40)]
    finding = first_finding(curve)
    assert finding is not None
    assert finding.kind is Failing.DIVERGED
    left_its_range = 40 + math.ceil(math.log(10, 1.6))  # the first step beyond ten times the start
    assert left_its_range <= finding.step <= left_its_range + 20


def test_one_absurd_term_is_enough_and_is_named() -> None:
    finding = first_finding([figures(), figures(loss_roi_box=2e3)])
    assert finding is not None
    assert (finding.cause, finding.step) == ("loss_roi_box", 1)


def test_weights_that_do_not_move_are_not_learning() -> None:
    finding = first_finding([figures(update=1e-9)] * 100, budget_steps=100)
    assert finding is not None
    assert (finding.kind, finding.step) == (Failing.NOT_LEARNING, 25)


def test_the_update_may_be_tiny_during_warm_up_and_after_decay() -> None:
    curve = [figures(update=1e-9)] * 10 + [figures(update=1e-3)] * 80 + [figures(update=1e-5)] * 10
    assert first_finding(curve, budget_steps=100) is None


@given(seed=st.integers(0, 1000), noise=st.floats(0, 0.5), start=st.floats(0.5, 8))
def test_a_noisy_curve_that_falls_never_alarms(seed: int, noise: float, start: float) -> None:
    random = np.random.default_rng(seed)
    curve = [figures(float(start * math.exp(-step / 50) * random.lognormal(0, noise) + 0.3)) for step in range(120)]
    assert first_finding(curve) is None


@pytest.mark.parametrize("spike", [5.0, 15.0])
def test_a_single_spike_does_not_end_a_trial(spike: float) -> None:
    curve = [figures(1.0)] * 30 + [figures(spike)] + [figures(1.0)] * 30
    assert first_finding(curve) is None
