"""What files for other frameworks say of the weights that a detector began from, or why none are written."""

from dataclasses import replace
from pathlib import Path

import pytest

from detector.config import Canvas, ConfigError, Detector
from detector.geometry import KERAS, TORCHVISION, Geometry
from detector.weight_files.found_weights import FileKind, FoundWeights
from search.export.frameworks import geometry
from search.export.frameworks.detectron2 import DETECTRON2
from search.export.frameworks.geometry import expressible_geometry
from search.export.frameworks.mmdet import MMDET
from search.export.frameworks.torchvision import TORCHVISION as SCRIPT

DETECTOR = Detector(canvas=Canvas(height_px=96, width_px=128))
FROM_FILE = replace(DETECTOR, weights="theirs.safetensors")


@pytest.fixture
def file_means(monkeypatch):
    """Lets the file mean a geometry."""

    def means(found: Geometry) -> None:
        def opened(path: Path) -> FoundWeights:
            assert path == Path("theirs.safetensors")
            return FoundWeights(kind=FileKind.TORCHVISION, geometry=found)

        monkeypatch.setattr(geometry, "open_weights", opened)

    return means


@pytest.mark.parametrize("weights", ["none", "imagenet"])
def test_without_a_file_the_geometry_is_that_of_keras(weights):
    assert expressible_geometry(replace(DETECTOR, weights=weights)) == KERAS


def test_a_files_place_of_strides_and_pixels_stand_in_every_format_that_says_them(file_means, awkward):
    file_means(TORCHVISION)
    theirs = replace(awkward, geometry=expressible_geometry(FROM_FILE))
    for framework, ours_says, theirs_say in (
        (DETECTRON2, "STRIDE_IN_1X1: true", "STRIDE_IN_1X1: false"),
        (DETECTRON2, "FORMAT: BGR", "FORMAT: RGB"),
        (MMDET, "'caffe'", "'pytorch'"),
        (MMDET, "bgr_to_rgb=False", "bgr_to_rgb=True"),
        (SCRIPT, "stride_in_1x1=True", "stride_in_1x1=False"),
    ):
        name = framework.files[0]
        assert ours_says in framework.texts(awkward, name)[name]
        assert theirs_say in framework.texts(theirs, name)[name]
    assert str(TORCHVISION.pixels.mean[0]) in SCRIPT.texts(theirs, SCRIPT.files[0])[SCRIPT.files[0]]


@pytest.mark.parametrize("other", [{"anchor_offset": 0.0}, {"rounded_anchors": True}, {"aligned_rois": False}])
def test_a_whole_detector_that_places_anchors_or_rois_otherwise_is_not_written(file_means, other):
    file_means(replace(TORCHVISION, **other))
    with pytest.raises(
        ConfigError, match=r"theirs\.safetensors is a whole detector .* export --format frcnn writes it"
    ):
        expressible_geometry(FROM_FILE)


def test_weights_that_are_not_here_are_asked_for():
    with pytest.raises(ConfigError, match=r"there is no file 'theirs\.safetensors'"):
        expressible_geometry(FROM_FILE)
