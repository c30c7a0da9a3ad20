"""Rules for trials that leave the range in which anything is learnt.

not finite            a loss or the gradient was NaN or infinite; the step's latch names the first term and step (F1)
exploding             the running mean of the loss left everything it started from, or one term is absurd (F2)
update too large      a part of the network is replaced within a few steps (F6)
saturated logits      scores so large that their gradient vanishes (F25)
degenerate proposals  the RPN asks for boxes of absurd size (F24)
gradient spike        during or just after warm-up: it is missing or too short (F3); a warning
"""

import math
from collections import deque

from detector.watch.finding import Figures, Finding, Rule, Severity, Streak, TrialContext, circumstances
from detector.watch.health import COMPONENTS, LOSSES, bad_terms
from detector.watch.thresholds import Thresholds
from trial.outcome import Outcome

EMA_KEEPS = 0.9  # of the running mean of the gradient norm, a step
EMA_STEPS = 5  # before which the mean says nothing


class Divergence(Rule):
    """A rule for a trial that leaves the range in which anything is learnt."""

    outcome = Outcome.DIVERGED


class NotFinite(Divergence):
    """The first term that was not finite is the cause; `step` is where, which may lie before the step looked at."""

    name = "not finite"

    def observe(self, step: int, figures: Figures) -> Finding | None:
        terms = bad_terms(figures)
        if not terms:
            return None
        step = int(figures["first_bad_step"])
        message = f"{terms[0]} was not finite at step {step}"
        return self.found(step, terms[0], message, {"terms": ", ".join(terms), **circumstances(figures)})


class Exploding(Divergence):
    """The mean of the last steps is compared with the median of the first ones; one absurd term is enough at once."""

    name = "exploding"

    def __init__(self, limits: Thresholds) -> None:
        self._limits = limits
        self._first: list[float] = []
        self._recent: deque[float] = deque(maxlen=limits.window_steps)

    def observe(self, step: int, figures: Figures) -> Finding | None:
        limits, loss = self._limits, figures["loss"]
        worst = max(LOSSES, key=lambda name: figures[name])
        self._recent.append(loss)
        if figures[worst] > limits.absurd_loss:
            return self.found(step, worst, f"{worst} reached {figures[worst]:.3g}", circumstances(figures))
        if len(self._first) < limits.window_steps:
            self._first.append(loss)
            return None
        start = sorted(self._first)[len(self._first) // 2]
        bound = max(limits.explosion_ratio * start, limits.explosion_floor)
        mean = math.fsum(recent / len(self._recent) for recent in self._recent)  # their sum may be beyond a float
        if mean <= bound:
            return None
        return self.found(step, worst, f"the loss rose from {start:.3g} to {mean:.3g}", circumstances(figures))


class UpdateTooLarge(Divergence):
    """One component after another: its weights change by so much of themselves, step after step."""

    name = "update too large"

    def __init__(self, limits: Thresholds) -> None:
        self._limits = limits
        self._streaks = {part: Streak(limits.streak_steps) for part in COMPONENTS}

    def observe(self, step: int, figures: Figures) -> Finding | None:
        ratios = {part: figures[f"update_ratio_{part}"] for part in COMPONENTS}
        bound = self._limits.large_update_ratio
        over = [part for part in COMPONENTS if self._streaks[part].complete(ratios[part] > bound)]
        if not over:
            return None
        worst = max(over, key=lambda part: ratios[part])
        message = (
            f"{self._limits.streak_steps} steps in a row changed the {worst} weights by more than {bound:.0%} "
            f"each, the last by {ratios[worst]:.0%}"
        )
        return self.found(step, worst, message, {f"update_ratio_{worst}": ratios[worst], **circumstances(figures)})


class SaturatedLogits(Divergence):
    """Scores beyond which a wrong answer can hardly be unlearnt."""

    name = "saturated logits"

    def __init__(self, limits: Thresholds) -> None:
        self._bounds = {
            "max_objectness": limits.saturated_objectness,
            "max_class_logit": limits.saturated_class_logit,
        }
        self._streaks = {figure: Streak(limits.streak_steps) for figure in self._bounds}

    def observe(self, step: int, figures: Figures) -> Finding | None:
        for figure, bound in self._bounds.items():
            if self._streaks[figure].complete(figures[figure] > bound):
                message = f"{figure} is {figures[figure]:.3g}; beyond {bound:g} a wrong answer is hardly unlearnt"
                return self.found(step, figure, message, {figure: figures[figure], **circumstances(figures)})
        return None


class DegenerateProposals(Divergence):
    """The RPN's size deltas are at the clamp."""

    name = "degenerate proposals"

    def __init__(self, limits: Thresholds) -> None:
        self._bound = limits.clamped_share
        self._streak = Streak(limits.streak_steps)

    def observe(self, step: int, figures: Figures) -> Finding | None:
        share = figures["clamped_deltas"]
        if not self._streak.complete(share > self._bound):
            return None
        message = f"{share:.0%} of the sides that the RPN proposes are more than 62 times the anchor's"
        return self.found(step, "clamped_deltas", message, {"clamped_deltas": share, **circumstances(figures)})


class GradientSpike(Divergence):
    """Early, and while the rate is more than half its peak; later spikes are a hard batch."""

    name = "gradient spike"
    severity = Severity.WARNING

    def __init__(self, limits: Thresholds, context: TrialContext) -> None:
        self._limits = limits
        self._until = max(limits.spike_steps, 2 * context.warmup_steps)
        self._half_peak = context.peak_learning_rate / 2
        self._mean = 0.0
        self._seen = 0

    def observe(self, step: int, figures: Figures) -> Finding | None:
        norm, mean, told = figures["gradient_norm"], self._mean, self._seen >= EMA_STEPS
        self._seen += 1
        self._mean = norm if self._seen == 1 else EMA_KEEPS * mean + (1 - EMA_KEEPS) * norm
        fast = figures["learning_rate"] > self._half_peak
        if not (told and fast and step < self._until and norm > self._limits.spike_ratio * mean > 0):
            return None  # a mean of 0 is no measure of a jump: no gradient came this far before
        message = f"the gradient norm jumped to {norm:.3g}, {norm / mean:.0f} times its running mean"
        return self.found(step, "warm-up", message, {"running_mean": mean, **circumstances(figures)})
