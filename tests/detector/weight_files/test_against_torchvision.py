"""torchvision's Faster R-CNN and ours, with the same values, compute the same; theirs was written down (make
check-weights compares with the real one)."""

from pathlib import Path

import numpy as np
import pytest

from tests.support.random_detector import places
from tests.support.their_detector import CANVASES, GoldenCase, in_their_order

QUICK = (("resnet18", 64, 64), ("resnet50", 64, 128))  # both kinds of block, both ways to stride, a canvas of two sides
CASES = [
    case if case in QUICK else pytest.param(*case, marks=pytest.mark.slow)
    for case in ((name, *canvas) for name, canvases in CANVASES.items() for canvas in canvases)
]
TOLERANCE = 1e-4  # relative to the largest value of an array


@pytest.mark.parametrize(("name", "height", "width"), CASES)
def test_features_heads_and_detections_are_torchvisions(name: str, height: int, width: int, tmp_path: Path) -> None:
    case = GoldenCase(name)
    found, expected = case.outputs(case.file(tmp_path), height, width), case.expected(height, width)
    compared = [key for key in expected if "/" not in key and key not in ("boxes", "scores", "labels")]
    assert len(compared) == 5 + 5 + 5 + 2
    for key in compared:
        array = in_their_order(key, found[key], case.anchors)
        assert array.shape == tuple(expected[f"{key}/shape"]), key
        taken, limit = array.ravel()[places(key, array.size)], TOLERANCE * float(expected[f"{key}/largest"])
        np.testing.assert_allclose(taken, expected[key], atol=limit, err_msg=key)
    assert np.count_nonzero(found["scores"]) == len(expected["scores"])
    partner = partners(found, expected)  # scores that are equal but for rounding may have changed places
    assert len(set(partner)) == len(partner)
    np.testing.assert_allclose(found["scores"][partner], expected["scores"], atol=TOLERANCE)
    np.testing.assert_allclose(found["boxes"][partner], expected["boxes"], atol=TOLERANCE * max(height, width))


def partners(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> list[int]:
    """For each of torchvision's detections ours of the same class that lies nearest."""
    apart = np.abs(found["boxes"][None] - expected["boxes"][:, None]).max(axis=-1)
    apart[found["classes"][None] + 1 != expected["labels"][:, None]] = np.inf
    return apart.argmin(axis=1).tolist()
