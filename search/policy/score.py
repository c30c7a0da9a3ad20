"""By what trials are compared at a rung: AP, and where AP says nothing, what speaks sooner.

Early on many a trial has an AP of 0 that will not stay there. Boxes that are right at a loose overlap come before those
that are right at a strict one, so AP at IoU 0.1 to 0.5, then the share of objects that are found at all, then that the
RPN proposes. Together they count a hundredth, less than AP's own error on the few hundred images that trials are
evaluated on: they part trials that AP leaves equal, and turn no difference that it is sure of.
"""

import math

from trial.reading import Reading
from trial.reports import AP_ERROR, RungReport

#: A figure's weight beside AP's 1; all lie in [0, 1].
WEIGHTS = {"ap_loose": 0.01, "detection_recall": 0.001, "proposal_recall": 0.0001}


def score(report: RungReport) -> Reading:
    """The value of an evaluation with its standard error; the AP itself where nothing else was measured."""
    figures = {name: value for name, value in report.metrics.items() if math.isfinite(value)}
    beside = sum(weight * figures.get(name, 0.0) for name, weight in WEIGHTS.items())
    return Reading(value=report.ap + beside, error=figures.get(AP_ERROR, 0.0))
