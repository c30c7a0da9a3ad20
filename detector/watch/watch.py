"""Is this trial still training? Rules over a step's health figures that need no other trial and no validation.

    opening     the first steps: pixels, features, losses and labels that no hyperparameter can mend     ends the study
    divergence  not finite, exploding, too large an update, saturated logits, degenerate proposals       ends the trial
    stagnation  no positives, not learning, RPN stuck, background collapse                               ends the trial

Each family is a module with its rules; `thresholds` says when they fire and why there.
"""

from collections.abc import Sequence

from detector.config import Hyperparameters, StepShape
from detector.schedule import optimizer_steps
from detector.watch import divergence, stagnation, startup
from detector.watch.finding import Figures, Finding, Rule, Severity, TrialContext
from detector.watch.thresholds import Thresholds


def rules(context: TrialContext, limits: Thresholds) -> tuple[Rule, ...]:
    """Every rule, new; where several fire at the same step, the first in this order is the finding."""
    return (
        startup.PixelScaling(limits),
        startup.Features(limits),
        divergence.NotFinite(),
        startup.StartLosses(limits, context),
        startup.LabelRange(context),
        divergence.Exploding(limits),
        divergence.UpdateTooLarge(limits),
        divergence.SaturatedLogits(limits),
        divergence.DegenerateProposals(limits),
        stagnation.NoPositives(limits),
        stagnation.FewProposals(limits, context),
        stagnation.NotLearning(limits, context),
        stagnation.RpnStuck(limits, context),
        stagnation.BackgroundCollapse(limits, context),
        startup.UnusualPixels(limits),
        divergence.GradientSpike(limits, context),
        stagnation.LowQualityMatches(limits),
        stagnation.IdlePart(limits, context),
        stagnation.RoiHeadStarved(limits, context),
    )


def trial_context(
    hyperparameters: Hyperparameters, shape: StepShape, budget_images: int, *, fresh_heads: bool = True
) -> TrialContext:
    """The context of a trial with that budget."""
    batch_size = hyperparameters.batch_size
    return TrialContext(
        budget_steps=optimizer_steps(budget_images, batch_size),
        warmup_steps=optimizer_steps(round(hyperparameters.warmup_fraction * budget_images), batch_size),
        peak_learning_rate=hyperparameters.learning_rate,
        classes=shape.classes,
        anchor_samples=shape.anchor_samples,
        roi_samples=shape.roi_samples,
        proposals=shape.proposals_train,
        fresh_heads=fresh_heads,
    )


class Watch:
    """Sees every optimizer step of one trial, in order; `warnings` holds the first of each rule that only warns."""

    def __init__(self, context: TrialContext, limits: Thresholds | None = None) -> None:
        self.limits = limits or Thresholds()
        self._rules = rules(context, self.limits)
        self.warnings: dict[str, Finding] = {}

    def observe(self, step: int, figures: Figures) -> Finding | None:
        """The finding that ends the trial, or None while it may go on."""
        found = self.findings(step, figures)
        for finding in found:
            if finding.severity is Severity.WARNING:
                self.warnings.setdefault(finding.rule, finding)
        return next((finding for finding in found if finding.severity is not Severity.WARNING), None)

    def findings(self, step: int, figures: Figures) -> Sequence[Finding]:
        """What every rule says of this step, by their order."""
        said = [rule.observe(step, figures) for rule in self._rules]
        return [finding for finding in said if finding is not None]
