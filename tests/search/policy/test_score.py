"""By what trials are compared: AP first, and where it says nothing what speaks sooner."""

import math

from search.policy.score import WEIGHTS, score
from trial.reading import Reading
from trial.reports import RungReport


def report(ap: float, **metrics: float) -> RungReport:
    return RungReport(step=1, images=16, ap=ap, metrics=metrics, training_s=1.0, evaluation_s=1.0)


def test_an_evaluation_of_nothing_but_ap_counts_by_that_and_its_error_is_unknown():
    assert score(report(0.25)) == Reading(value=0.25, error=0.0)


def test_the_figures_beside_ap_are_weighed_as_the_table_says():
    figures = {"ap_loose": 0.5, "detection_recall": 0.8, "proposal_recall": 0.9, "ap_error": 0.02}
    assert score(report(0.25, **figures)) == Reading(value=0.25 + 0.005 + 0.0008 + 0.00009, error=0.02)


def test_where_ap_is_zero_for_all_the_one_that_finds_objects_loosely_is_ahead():
    nothing, proposes = report(0.0, proposal_recall=0.2), report(0.0, proposal_recall=0.7)
    finds = report(0.0, proposal_recall=0.1, detection_recall=0.3)
    fits = report(0.0, ap_loose=0.05)
    ordered = [nothing, proposes, finds, fits]
    values = [score(each).value for each in ordered]
    assert values == sorted(set(values))


def test_a_figure_that_is_no_number_counts_nothing():
    assert score(report(0.1, ap_loose=math.nan, ap_error=math.nan)) == Reading(value=0.1, error=0.0)


def test_all_that_stands_beside_ap_turns_no_difference_of_two_hundredths():
    everything = dict.fromkeys(WEIGHTS, 1.0)
    assert score(report(0.30)).value > score(report(0.28, **everything)).value
