"""What another hour is likely to bring, in words."""

from search.policy.model.prospect import Prospect
from search.report.outlook import hourly_prospect, prospect_text
from tests.search.report.test_certainty import BEST, place


def test_the_text_names_trials_gain_and_the_error_of_the_best():
    likely = Prospect(trials=12, gain=0.0126)
    assert (
        prospect_text(likely, BEST) == "some 12 trials, likely to add 0.013 to the best AP, which is uncertain by 0.020"
    )
    assert (
        prospect_text(Prospect(trials=1, gain=0.0), place(1, 4, 0.3, None))
        == "1 trial, likely to add 0.000 to the best AP"
    )


def test_nothing_is_said_where_nothing_is_known():
    assert prospect_text(None, BEST) == prospect_text(Prospect(trials=3, gain=0.1), None) == ""
    assert hourly_prospect(None, [], 4.0) is None
