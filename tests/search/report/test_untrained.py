"""Whether the best trial is better than no training at all."""

import pytest

from search.report.ranking import best, ranking
from search.report.untrained import ATTRIBUTE, has_learnt, keep_untrained, read_untrained, untrained_text
from storage.study import find_study
from tests.search.conftest import STUDY


def test_the_ap_is_kept_with_the_study(database, study):
    stored = find_study(database, STUDY)
    assert read_untrained(stored) is None
    keep_untrained(stored, 0.004)
    assert read_untrained(stored) == 0.004
    study.set_user_attr(ATTRIBUTE, "somebody else's")
    assert read_untrained(stored) is None


@pytest.mark.parametrize(
    ("untrained_ap", "learnt", "text"),
    [
        (None, True, ""),
        (0.004, True, "an untrained detector: AP 0.004"),
        (0.42, False, "an untrained detector: AP 0.420; the best trial is no better"),
        (0.5, False, "an untrained detector: AP 0.500; the best trial is no better"),
    ],
)
def test_a_best_trial_must_be_better_than_an_untrained_detector(database, study, untrained_ap, learnt, text):
    first = best(ranking(find_study(database, STUDY)))  # AP 0.42
    assert has_learnt(first, untrained_ap) is learnt
    assert untrained_text(first, untrained_ap) == text


def test_without_a_trial_nothing_has_learnt():
    assert not has_learnt(None, None)
    assert untrained_text(None, 0.004) == "an untrained detector: AP 0.004"
