"""Rules for the first steps, where the weights are the initial ones and no hyperparameter has a say yet.

What they find ends the study, not the trial: every other configuration would meet the same.

pixel scaling     the preprocessed pixels are flat, or no 8-bit picture gives them (F8)
features          the backbone's features have another magnitude than trained or calibrated weights give (F7)
losses at step 0  objectness and classes are not as undecided as fresh heads are (F9)
label range       an object has the number of the background as its class, or a larger one (F11)
unusual pixels    much darker, brighter or flatter than what ImageNet's weights have seen (F8); a warning
"""

import math

from detector.watch.finding import Figures, Finding, Rule, Severity, Streak, TrialContext
from detector.watch.health import LOSSES
from detector.watch.thresholds import Thresholds
from trial.outcome import Outcome


class Startup(Rule):
    """A rule for what no hyperparameter has a say in: every other trial would meet the same."""

    outcome = Outcome.BAD_DATA
    severity = Severity.STUDY


class PixelScaling(Startup):
    """Mean and deviation of what the backbone is given, over the first few batches."""

    name = "pixel scaling"

    def __init__(self, limits: Thresholds) -> None:
        self._limits = limits
        self._streak = Streak(limits.opening_steps)

    def observe(self, step: int, figures: Figures) -> Finding | None:
        limits, mean, deviation = self._limits, figures["pixel_mean"], figures["pixel_deviation"]
        if step >= limits.opening_steps:
            return None
        impossible = abs(mean) > limits.impossible_pixel_mean or deviation > limits.impossible_pixel_deviation
        if not self._streak.complete(impossible or deviation < limits.flat_pixels):
            return None
        message = (
            f"pixels enter the network with mean {mean:.3g} and deviation {deviation:.3g}, but 8-bit pictures "
            f"less their mean lie within ±{limits.impossible_pixel_mean:g} and deviate by 58 "
            "or so; look at how the images are stored and scaled"
        )
        return self.found(step, "preprocessing", message, {"pixel_mean": mean, "pixel_deviation": deviation})


class UnusualPixels(Startup):
    """The same as `PixelScaling`, for pictures that can be meant."""

    name = "unusual pixels"
    severity = Severity.WARNING

    def __init__(self, limits: Thresholds) -> None:
        self._limits = limits
        self._streak = Streak(limits.opening_steps)

    def observe(self, step: int, figures: Figures) -> Finding | None:
        limits, mean, deviation = self._limits, figures["pixel_mean"], figures["pixel_deviation"]
        is_unusual = deviation < limits.unusual_pixel_deviation or abs(mean) > limits.unusual_pixel_mean
        if step >= limits.opening_steps or not self._streak.complete(is_unusual):
            return None
        message = (
            f"pixels enter the network with mean {mean:.3g} and deviation {deviation:.3g} levels, where "
            "photographs have about 0 and 58: are all 8 bits used, and are pretrained features of any use here?"
        )
        return self.found(step, "pixels", message, {"pixel_mean": mean, "pixel_deviation": deviation})


class Features(Startup):
    """Root mean square of P2."""

    name = "features"

    def __init__(self, limits: Thresholds) -> None:
        self._range = limits.feature_rms

    def observe(self, step: int, figures: Figures) -> Finding | None:
        size, (low, high) = figures["feature_rms"], self._range
        if step > 0 or low <= size <= high or math.isnan(size):
            return None
        message = (
            f"before the first step the features have a root mean square of {size:.3g}, outside "
            f"{low:g} to {high:g}: the backbone's weights or batch norm statistics are not those of a trained network"
        )
        return self.found(step, "backbone", message, {"feature_rms": size})


class StartLosses(Startup):
    """Class losses of fresh heads, over the samples that there are."""

    name = "losses at step 0"

    def __init__(self, limits: Thresholds, context: TrialContext) -> None:
        self._limits = limits
        self._context = context

    def observe(self, step: int, figures: Figures) -> Finding | None:
        if step > 0 or not self._context.fresh_heads:
            return None
        limits, context = self._limits, self._context
        theory = (
            ("loss_rpn_class", "sampled_anchors", context.anchor_samples, math.log(2), limits.start_rpn_class),
            (
                "loss_roi_class",
                "sampled_rois",
                context.roi_samples,
                math.log(context.classes + 1),
                limits.start_roi_class,
            ),
        )
        for loss, sampled, slots, expected, tolerance in theory:
            of_each = figures[loss] * slots / max(figures[sampled], 1.0)
            if figures[sampled] >= 1 and abs(of_each - expected) > tolerance:
                message = (
                    f"before the first step {loss} is {of_each:.3g} a sample, but heads that know nothing have "
                    f"{expected:.3g}: number of classes, initial weights or input are wrong"
                )
                evidence = {"expected": expected, **{name: figures[name] for name in LOSSES}}
                return self.found(step, loss, message, evidence)
        return None


class LabelRange(Startup):
    """The background has the number K, so that an object with it, or beyond, can only be learnt as background."""

    name = "label range"

    def __init__(self, context: TrialContext) -> None:
        self._classes = context.classes

    def observe(self, step: int, figures: Figures) -> Finding | None:
        largest = figures["largest_label"]
        if not largest > self._classes - 1:
            return None
        message = (
            f"an object has the label {largest:g}, but {self._classes} classes are numbered 0 to "
            f"{self._classes - 1}, and {self._classes} is the background: look for ids that begin with 1"
        )
        return self.found(step, "labels", message, {"largest_label": largest})
