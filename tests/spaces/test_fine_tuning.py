import pytest

from detector.weight_files.found_weights import AnchorLayout
from spaces.catalogue import DEFINITIONS
from spaces.faster_rcnn import Space
from spaces.fine_tuning import FINE_TUNING, fine_tuning_space
from spaces.parameters import Fixed, Float
from spaces.section import parse, write

CATALOGUE = Space.default()


@pytest.mark.parametrize("name", FINE_TUNING)
def test_every_range_of_fine_tuning_lies_in_the_default_one_and_holds_the_reference(name):
    wide, narrow = CATALOGUE.parameters[name], FINE_TUNING[name]
    assert isinstance(wide, Float)
    assert isinstance(narrow, Float)
    assert wide.low <= narrow.low < narrow.high <= wide.high
    assert narrow.log is wide.log
    assert narrow.contains(DEFINITIONS[name].reference)


def test_every_trial_has_as_many_anchors_as_the_detector():
    space = fine_tuning_space(AnchorLayout(sizes=2, ratios=3))
    assert space.fixed() == {"anchor_scales": 2, "anchor_ratios": 3}
    assert space.anchors_per_cell() == 6
    assert {
        "anchor_base",
        "anchor_octave_span",
        "anchor_ratio_centre",
        "anchor_ratio_spread",
    } <= space.reference().keys()


def test_a_count_that_no_study_could_name_is_left_free():
    space = fine_tuning_space(AnchorLayout(sizes=15, ratios=1))
    assert space.fixed() == {"anchor_ratios": 1}
    assert space.parameters["anchor_scales"] == CATALOGUE.parameters["anchor_scales"]
    assert fine_tuning_space(None).fixed() == {}


def test_trial_0_stays_the_reference_of_detectron2_where_the_counts_are():
    point = fine_tuning_space(AnchorLayout(sizes=1, ratios=3)).reference()
    assert point == {name: value for name, value in CATALOGUE.reference().items() if name in point}


def test_the_space_survives_a_study_file():
    space = fine_tuning_space(AnchorLayout(sizes=1, ratios=3))
    assert parse(write(space)) == space
    assert space.parameters["anchor_scales"] == Fixed(value=1)
