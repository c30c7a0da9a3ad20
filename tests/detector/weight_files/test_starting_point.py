"""What a file gives to begin with decides ranges and first trials."""

from pathlib import Path

import pytest

from detector.weight_files.found_weights import AnchorLayout
from detector.weight_files.starting_point import BACKBONE, SCRATCH, Given, StartingPoint, starting_point
from tests.support.trained_file import BACKBONE_ALONE, trained


def test_named_weights_give_what_they_are_called_after() -> None:
    assert starting_point("none") == SCRATCH
    assert starting_point("imagenet") == BACKBONE
    assert starting_point("coco") == StartingPoint(given=Given.DETECTOR, anchors=AnchorLayout(sizes=1, ratios=3))


def test_a_whole_detector_says_how_many_anchors_a_cell_has(tmp_path: Path) -> None:
    weights = trained(tmp_path / "weights.safetensors")
    assert starting_point(weights) == StartingPoint(given=Given.DETECTOR, anchors=AnchorLayout(sizes=1, ratios=3))


def test_a_file_without_heads_is_a_backbone(tmp_path: Path) -> None:
    assert starting_point(trained(tmp_path / "weights.safetensors", BACKBONE_ALONE)) == BACKBONE


def test_a_file_that_is_replaced_is_looked_at_again(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    assert starting_point(trained(path, BACKBONE_ALONE)) == BACKBONE
    path.unlink()
    assert starting_point(trained(path)).fine_tunes


@pytest.mark.parametrize("content", [None, b"", b"no weights"])
def test_what_cannot_be_read_counts_as_a_backbone(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "weights.pkl"
    if content is not None:
        path.write_bytes(content)
    assert starting_point(str(path)) == BACKBONE
    assert starting_point("a\0b.pkl") == BACKBONE
