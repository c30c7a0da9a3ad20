"""Rules for trials that stay finite and learn nothing.

no positives          no anchor is like any box: the RPN has nothing to learn from (F21)
not learning          the weights do not move: the update is too small to change anything within the budget (F5)
few proposals         hardly any box survives NMS (F24)
rpn stuck             long past warm-up proposals cover no more boxes than at first (F22)
background collapse   long past warm-up every object is called background (F10)
idle part             one part of the network does not move while others do (F5); a warning
roi head starved      long past warm-up the head sees objects only as ground truth (F23); a warning
low-quality matches   most positives are the best of a bad lot: the anchors do not fit (F15b, F20); a warning
"""

import math
from collections import deque

from detector.watch.finding import Figures, Finding, Rule, Severity, TrialContext, circumstances
from detector.watch.health import COMPONENTS
from detector.watch.thresholds import Thresholds
from trial.outcome import Outcome


class Stagnation(Rule):
    """A rule for a trial that learns nothing."""

    outcome = Outcome.NOT_LEARNING


class Mean:
    """The mean of the last `steps` values; None until there are so many."""

    def __init__(self, steps: int) -> None:
        self._values: deque[float] = deque(maxlen=steps)

    def add(self, value: float) -> float | None:
        self._values.append(value)
        if len(self._values) < (self._values.maxlen or 1):
            return None
        return math.fsum(value / len(self._values) for value in self._values)  # a sum of 1e308s is beyond a float


class Updates:
    """The largest update of each part over the last steps, as it would be at the peak of the learning rate.

    A small one before, in warm-up, or after decay is meant, and no sign of death.
    """

    def __init__(self, limits: Thresholds, context: TrialContext) -> None:
        self.judged_from = max(
            limits.dead_after_steps, limits.dead_after_share * context.budget_steps, context.warmup_steps
        )
        self._peak = context.peak_learning_rate
        self._last = {part: deque[float](maxlen=limits.window_steps) for part in COMPONENTS}

    def add(self, figures: Figures) -> dict[str, float]:
        rate = figures["learning_rate"]
        scale = self._peak / rate if rate > 0 and self._peak > 0 else 1.0
        for part, last in self._last.items():
            last.append(scale * figures[f"update_ratio_{part}"])
        return {part: max(last) for part, last in self._last.items()}


class NoPositives(Stagnation):
    """Fewer than one positive anchor an image, though there are boxes."""

    name = "no positives"

    def __init__(self, limits: Thresholds) -> None:
        self._fewest = limits.fewest_positives
        self._steps = limits.positives_window_steps
        self._positives, self._boxes = Mean(self._steps), Mean(self._steps)

    def observe(self, step: int, figures: Figures) -> Finding | None:
        positives, boxes = self._positives.add(figures["positive_anchors"]), self._boxes.add(figures["boxes"])
        if positives is None or boxes is None or positives >= min(self._fewest, boxes):
            return None
        message = (
            f"over {self._steps} steps an image had {boxes:.2g} boxes, but only {positives:.2g} anchors that "
            "are like one"
        )
        evidence = {"positive_anchors": positives, "boxes": boxes, **circumstances(figures)}
        return self.found(step, "anchors", message, evidence)


class FewProposals(Stagnation):
    """Nearly all boxes fall to NMS, or are empty."""

    name = "few proposals"

    def __init__(self, limits: Thresholds, context: TrialContext) -> None:
        self._fewest = limits.fewest_proposals * context.proposals
        self._steps = limits.positives_window_steps
        self._valid = Mean(self._steps)

    def observe(self, step: int, figures: Figures) -> Finding | None:
        valid = self._valid.add(figures["valid_proposals"])
        if valid is None or valid >= self._fewest:
            return None
        message = (
            f"over {self._steps} steps only {valid:.3g} proposals an image were left, fewer than "
            f"{self._fewest:.3g}: anchors and NMS leave the head nothing to choose from"
        )
        return self.found(step, "proposals", message, {"valid_proposals": valid, **circumstances(figures)})


class NotLearning(Stagnation):
    """The largest update of any part over the last steps."""

    name = "not learning"

    def __init__(self, limits: Thresholds, context: TrialContext) -> None:
        self._dead = limits.dead_update_ratio
        self._updates = Updates(limits, context)

    def observe(self, step: int, figures: Figures) -> Finding | None:
        largest = max(self._updates.add(figures).values())
        if step < self._updates.judged_from or largest >= self._dead:
            return None
        message = f"no part of the weights moved by more than {largest:.1e} of itself in a step, decay not counted"
        evidence = {"largest_update_ratio": largest, **circumstances(figures)}
        return self.found(step, "update too small", message, evidence)


class IdlePart(Stagnation):
    """A part that has gradients, so it is not frozen, and does not move although another does."""

    name = "idle part"
    severity = Severity.WARNING

    def __init__(self, limits: Thresholds, context: TrialContext) -> None:
        self._dead = limits.dead_update_ratio
        self._updates = Updates(limits, context)

    def observe(self, step: int, figures: Figures) -> Finding | None:
        largest = self._updates.add(figures)
        idle = [part for part in COMPONENTS if largest[part] < self._dead and figures[f"gradient_norm_{part}"] > 0]
        if step < self._updates.judged_from or not idle or max(largest.values()) < self._dead:
            return None
        message = f"the {idle[0]} weights moved by at most {largest[idle[0]]:.1e} of themselves in a step"
        return self.found(step, idle[0], message, {"largest_update_ratio": largest[idle[0]], **circumstances(figures)})


class RpnStuck(Stagnation):
    """The recall of its proposals, ground truth not counted, against what it was early on."""

    name = "rpn stuck"

    def __init__(self, limits: Thresholds, context: TrialContext) -> None:
        self._limits = limits
        self._after = limits.patience_steps + context.warmup_steps
        self._recall = Mean(limits.window_steps)
        self._reference: float | None = None

    def observe(self, step: int, figures: Figures) -> Finding | None:
        recall = self._recall.add(figures["proposal_recall"])
        if recall is None or step < self._limits.recall_reference_step:
            return None
        if self._reference is None:
            self._reference = recall
        bound = min(self._limits.stuck_recall, self._reference + self._limits.stuck_gain)
        if step < self._after or recall >= bound:
            return None
        message = f"proposals cover {recall:.0%} of the boxes after {step} steps, and {self._reference:.0%} at first"
        evidence = {"proposal_recall": recall, "first_proposal_recall": self._reference, **circumstances(figures)}
        return self.found(step, "rpn", message, evidence)


class BackgroundCollapse(Stagnation):
    """The head calls every object background, over as many steps as it may take."""

    name = "background collapse"

    def __init__(self, limits: Thresholds, context: TrialContext) -> None:
        self._collapsed = limits.collapsed_share
        self._warmup_steps = context.warmup_steps
        self._missed = Mean(limits.patience_steps)

    def observe(self, step: int, figures: Figures) -> Finding | None:
        if step < self._warmup_steps or figures["foreground_rois"] == 0:
            return None
        missed = self._missed.add(figures["false_negatives"])
        if missed is None or missed < self._collapsed or figures["false_negatives"] < self._collapsed:
            return None
        message = f"{missed:.1%} of the objects were called background, {step} steps into training"
        return self.found(step, "box head", message, {"false_negatives": missed, **circumstances(figures)})


class RoiHeadStarved(Stagnation):
    """Foreground RoIs that are proposals, as a share of all that were sampled."""

    name = "roi head starved"
    severity = Severity.WARNING

    def __init__(self, limits: Thresholds, context: TrialContext) -> None:
        self._least = limits.starved_share
        self._after = limits.patience_steps + context.warmup_steps
        self._share = Mean(limits.window_steps)

    def observe(self, step: int, figures: Figures) -> Finding | None:
        sampled = max(figures["sampled_rois"], 1.0)
        share = self._share.add(figures["foreground_proposals"] / sampled)
        if share is None or step < self._after or share >= self._least:
            return None
        message = f"only {share:.1%} of the sampled RoIs are proposals of an object; the rest is ground truth"
        return self.found(step, "rpn", message, {"foreground_proposals": share, **circumstances(figures)})


class LowQualityMatches(Stagnation):
    """Positives that exist only because every box is given its best anchor."""

    name = "low-quality matches"
    severity = Severity.WARNING

    def __init__(self, limits: Thresholds) -> None:
        self._limits = limits
        steps = limits.window_steps
        self._forced, self._positives, self._boxes = Mean(steps), Mean(steps), Mean(steps)

    def observe(self, step: int, figures: Figures) -> Finding | None:
        forced = self._forced.add(figures["low_quality_anchors"])
        positives, boxes = self._positives.add(figures["positive_anchors"]), self._boxes.add(figures["boxes"])
        if not forced or not positives or not boxes:
            return None
        share, each = forced / positives, forced / boxes
        if share <= self._limits.most_forced_share and each <= self._limits.most_forced_per_box:
            return None
        message = f"{share:.0%} of the positive anchors, {each:.2g} for each box, are below the RPN's threshold"
        evidence = {"low_quality_share": share, "low_quality_per_box": each, **circumstances(figures)}
        return self.found(step, "anchors", message, evidence)
