"""What files for other frameworks say of the weights that a detector began from, or why none are written."""

from dataclasses import replace
from pathlib import Path

import pytest

from detector.config import BackboneName, Canvas, ConfigError, Detector
from detector.geometry import KERAS, TORCHVISION, Geometry
from detector.weight_files.found_weights import FileKind, FoundWeights
from search.export.frameworks import geometry
from search.export.frameworks.detectron2 import DETECTRON2
from search.export.frameworks.geometry import expressible_geometry
from search.export.frameworks.mmdet import MMDET
from search.export.frameworks.recipe import Recipe
from search.export.frameworks.tf_od import TF_OD
from search.export.frameworks.tfm import TFM
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


@pytest.mark.parametrize("other", [{"rounded_anchors": True}, {"aligned_rois": False}])
def test_a_whole_detector_that_places_anchors_or_rois_otherwise_is_not_written(file_means, other):
    file_means(replace(TORCHVISION, **other))
    with pytest.raises(
        ConfigError, match=r"theirs\.safetensors is a whole detector .* export --format frcnn writes it"
    ):
        expressible_geometry(FROM_FILE)


def from_coco(recipe: Recipe, backbone: BackboneName = BackboneName.RESNET50) -> Recipe:
    detector = replace(recipe.configuration.detector, weights="coco", backbone=backbone)
    configuration = replace(recipe.configuration, detector=detector)
    return replace(recipe, configuration=configuration, geometry=expressible_geometry(detector))


def test_cocos_detector_is_named_and_has_its_anchors_at_the_corners(awkward):
    recipe = from_coco(awkward)
    for framework, *says in (
        (DETECTRON2, "OFFSET: 0.0", "WEIGHTS: detectron2://COCO-Detection/faster_rcnn_R_50_FPN_3x/137849458/model_"),
        (MMDET, "(0.0, 0.0)", "load_from = 'https://download.openmmlab.com/", "requires_grad=False"),
        (SCRIPT, "anchor_offset=0.0"),
    ):
        name = framework.files[0]
        text = framework.texts(recipe, name)[name].replace('"', "'")
        assert [each for each in says if each not in text] == []
    deep = from_coco(awkward, BackboneName.RESNET101)
    assert "faster_rcnn_R_101_FPN_3x" in DETECTRON2.texts(deep, DETECTRON2.files[0])[DETECTRON2.files[0]]
    assert "r101_caffe" in MMDET.texts(deep, MMDET.files[0])[MMDET.files[0]]


@pytest.mark.parametrize("framework", [TF_OD, TFM], ids=lambda framework: framework.format)
def test_a_format_without_a_word_for_the_anchors_place_refuses_it_by_itself(framework, awkward):
    with pytest.raises(ConfigError, match=f"{framework.format} places anchors in the middle .* begins from coco"):
        framework.fidelity(from_coco(awkward))


def test_weights_that_are_not_here_are_asked_for():
    with pytest.raises(ConfigError, match=r"there is no file 'theirs\.safetensors'"):
        expressible_geometry(FROM_FILE)
