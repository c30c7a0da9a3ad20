"""What the weights of a configuration mean, where other frameworks can be told of it."""

from pathlib import Path

from detector.config import Detector, NamedWeights, require
from detector.geometry import DETECTRON2_DETECTOR, KERAS, Geometry
from detector.weight_files.opening import open_weights


def expressible_geometry(detector: Detector) -> Geometry:
    """The geometry of the detector's weights: of their file, else that of keras.applications.

    Raises:
        ConfigError: the file is not there; or it is a whole detector of torchvision, whose anchors have whole sides and
            whose RoIs lie otherwise than in the files that are written.
    """
    if detector.weights in (NamedWeights.IMAGENET, NamedWeights.NONE):
        return KERAS
    fetched = detector.weights == NamedWeights.COCO
    geometry = DETECTRON2_DETECTOR if fetched else open_weights(Path(detector.weights)).geometry
    require(
        (geometry.rounded_anchors, geometry.aligned_rois) == (KERAS.rounded_anchors, KERAS.aligned_rois),
        f"{detector.weights} is a whole detector whose anchors or RoIs lie otherwise than in the files for other "
        "frameworks: they would be another detector; export --format frcnn writes it",
    )
    return geometry


def require_anchors_amid_cells(detector: Detector, geometry: Geometry, format: str) -> None:
    """Raise `ConfigError` where a format whose anchors lie amid their cells cannot say that these do not."""
    require(
        geometry.anchor_offset == KERAS.anchor_offset,
        f"{format} places anchors in the middle of their cells, but a detector that begins from {detector.weights} has "
        "them at the corners: it would be another one; export detectron2, mmdet or torchvision",
    )
