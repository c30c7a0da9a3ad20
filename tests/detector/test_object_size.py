import numpy as np
import pytest
from pycocotools.cocoeval import Params

from detector.object_size import MEANING, OBJECT_SIZES, object_sizes


@pytest.mark.parametrize(
    ("area", "name"),
    [(1, "small"), (32**2 - 1, "small"), (32**2, "medium"), (96**2, "medium"), (96**2 + 1, "large")],
)
def test_an_object_has_the_size_that_its_area_in_the_original_image_gives_it(area: float, name: str) -> None:
    assert OBJECT_SIZES[object_sizes(np.array([area]))[0]] == name


def test_the_bounds_are_those_by_which_coco_evaluates() -> None:
    parameters = Params(iouType="bbox")
    assert parameters.areaRngLbl == ["all", *OBJECT_SIZES]
    assert parameters.areaRng[1:] == [[0, 32**2], [32**2, 96**2], [96**2, 1e10]]
    assert MEANING == "small below 32² px, medium 32² to 96² px, large above 96² px, of the original image"


def test_no_area_has_no_size() -> None:
    assert object_sizes(np.zeros(0)).tolist() == []
