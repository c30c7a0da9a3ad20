"""What the weights of a configuration mean, where other frameworks can be told of it."""

from pathlib import Path

from detector.config import Detector, NamedWeights, require
from detector.geometry import DETECTRON2_DETECTOR, KERAS, Geometry
from detector.weight_files.opening import open_weights


def expressible_geometry(detector: Detector) -> Geometry:
    """The geometry of the detector's weights: of their file, else that of keras.applications.

    Raises:
        ConfigError: the file is not there; or anchors and RoIs lie as in a whole detector of torchvision, which the
            files that are written place otherwise.
    """
    if detector.weights in (NamedWeights.IMAGENET, NamedWeights.NONE):
        return KERAS
    fetched = detector.weights == NamedWeights.COCO
    geometry = DETECTRON2_DETECTOR if fetched else open_weights(Path(detector.weights)).geometry
    placed = geometry.anchor_offset, geometry.rounded_anchors, geometry.aligned_rois
    require(
        placed == (KERAS.anchor_offset, KERAS.rounded_anchors, KERAS.aligned_rois),
        f"{detector.weights} is a whole detector whose anchors or RoIs lie otherwise than in the files for other "
        "frameworks: they would be another detector; export --format frcnn writes it",
    )
    return geometry
