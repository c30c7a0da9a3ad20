import pytest

from detector.weight_files.starting_point import BACKBONE, SCRATCH, Given, StartingPoint
from search.doctor.rate_advice import proposed_rates, rate_lines
from spaces.catalogue import DEFINITIONS
from spaces.faster_rcnn import Space
from spaces.parameters import Categorical, Fixed, Float

SPACE = Space.default()
DETECTOR = StartingPoint(given=Given.DETECTOR)


@pytest.mark.parametrize(
    ("start", "batches", "sgd", "adam"),
    [
        # Detectron2's 0.02 / 100 to 0.02 × 4; Adam's 1e-4 / 10 to 1e-4 · 10 · √(16 / 4).
        pytest.param(BACKBONE, (4, 8, 16), (0.0002, 0.08), (1e-5, 2e-3), id="with weights"),
        pytest.param(SCRATCH, (4, 8, 16), (0.0002, 0.02), (1e-5, 2e-3), id="from scratch the reference is the end"),
        pytest.param(SCRATCH, (1, 16), (0.0002, 0.02), (1e-5, 4e-3), id="√(16 / 1) for a batch of one"),
        pytest.param(DETECTOR, (4, 16), (0.0005, 0.04), (1e-5, 3e-3), id="fine-tuning, whatever the batch"),
        pytest.param(BACKBONE, (16, 32), (0.0002, 0.08), (1e-5, 1e-3), id="larger batches need no more"),
    ],
)
def test_the_ranges_lie_around_the_reference(start, batches, sgd, adam):
    space = SPACE.replaced({"batch_size": Categorical(values=batches)})
    assert proposed_rates(space, start=start) == {
        "lr_per_16": Float(low=sgd[0], high=sgd[1], log=True),
        "adam_lr_per_16": Float(low=adam[0], high=adam[1], log=True),
    }


@pytest.mark.parametrize("start", [SCRATCH, BACKBONE, DETECTOR])
def test_trial_0_stays_the_reference(start):
    narrowed = SPACE.replaced(proposed_rates(SPACE, start=start))
    assert narrowed.reference() == SPACE.reference()
    for name in ("lr_per_16", "adam_lr_per_16"):
        assert narrowed.parameters[name].contains(DEFINITIONS[name].reference)


def test_rates_that_the_study_does_not_search_are_left_alone():
    assert proposed_rates(SPACE.replaced({"optimizer": Fixed(value="adam")}), start=SCRATCH).keys() == {
        "adam_lr_per_16"
    }
    assert "lr_per_16" not in proposed_rates(SPACE.replaced({"lr_per_16": Fixed(value=0.01)}), start=SCRATCH)


def test_the_rate_of_each_batch_is_told():
    lines = rate_lines(SPACE, proposed_rates(SPACE, start=BACKBONE))
    assert lines[0] == "learning rate of SGD by batch: 4: 5e-05 to 0.02, 8: 0.0001 to 0.04, 16: 0.0002 to 0.08"
