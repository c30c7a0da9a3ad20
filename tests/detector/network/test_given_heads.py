"""Which rows of another detector's heads a trial starts with."""

from dataclasses import dataclass

import numpy as np
import pytest

from detector.config import Anchors, BackboneName
from detector.geometry import KERAS
from detector.network.given_heads import GivenHeads
from detector.weight_files.found_weights import AnchorLayout, FileKind, FoundWeights
from tests.support.foreign_files import our_values

ONE_SIZE = Anchors()
TWO_SIZES = Anchors(sizes_px=((8, 16),) * 5)
VALUES = our_values(BackboneName.RESNET18)  # three classes, six slots for anchors


@dataclass(frozen=True)
class Drawn:
    """A variable with zeros."""

    path: str
    shape: tuple[int, ...]

    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
        return np.zeros(self.shape, np.float32)


def heads(*wanted: str, classes: tuple[str, ...] | None = ("cat", "dog", "cow")) -> GivenHeads:
    layout = AnchorLayout(sizes=2, ratios=3)
    found = FoundWeights(kind=FileKind.OURS, geometry=KERAS, values=VALUES, classes=classes, anchors=layout)
    return GivenHeads.of(found, wanted)


def over(given: GivenHeads, path: str, *shape: int, anchors: Anchors = TWO_SIZES) -> np.ndarray:
    return given.over(Drawn(path, shape), anchors)  # type: ignore[arg-type]


def test_classes_of_the_same_name_keep_their_rows_wherever_they_stand_and_the_background_its_own() -> None:
    given, logits, deltas = heads("dog", "bird", "cat"), VALUES["class_logits/bias"], VALUES["box_deltas/bias"]
    assert given.known == ("dog", "cat")
    assert over(given, "class_logits/bias", 4).tolist() == [logits[1], 0, logits[0], logits[3]]
    assert over(given, "box_deltas/bias", 12).tolist() == [*deltas[4:8], 0, 0, 0, 0, *deltas[:4]]


@pytest.mark.parametrize("classes", [None, ("bird", "fish", "fly")])
def test_without_a_class_in_common_the_background_is_drawn_too(classes: tuple[str, ...] | None) -> None:
    assert not over(heads("dog", "cat", classes=classes), "class_logits/kernel", 2, 3).any()
    assert not over(heads("dog", "cat", classes=classes), "box_deltas/kernel", 2, 8).any()


def test_rows_of_anchors_are_taken_where_sizes_and_ratios_are_as_many_and_other_slots_drawn() -> None:
    logits, deltas = VALUES["rpn_logits/bias"], VALUES["rpn_deltas/bias"]
    assert over(heads("cat"), "rpn_logits/bias", 8).tolist() == [*logits, 0, 0]
    assert over(heads("cat"), "rpn_deltas/bias", 32).tolist() == [*deltas, *[0] * 8]
    assert not over(heads("cat"), "rpn_logits/bias", 8, anchors=ONE_SIZE).any()


def test_layers_between_are_taken_as_they_are_unless_their_shape_is_another() -> None:
    np.testing.assert_array_equal(over(heads("cat"), "fc2/kernel", 2, 2), VALUES["fc2/kernel"])
    assert not over(heads("cat"), "fc2/kernel", 3, 2).any()


def test_a_backbone_gives_no_heads() -> None:
    found = FoundWeights(kind=FileKind.OURS, geometry=KERAS, values=our_values(BackboneName.RESNET18, heads=False))
    assert GivenHeads.of(found, ["cat"]).values == GivenHeads.of(None, ["cat"]).values == {}
