"""The frameworks whose configurations are read."""

from enum import StrEnum


class Framework(StrEnum):
    """Named as `--from-format` names them."""

    DETECTRON2 = "detectron2"  # its YAML
    MMDET = "mmdet"  # MMDetection's flattened Python file, read as text
    TORCHVISION = "torchvision"  # the JSON that `describe` writes
    TF_OD = "tf-od"  # pipeline.config of the TensorFlow Object Detection API
    TFM = "tfm"  # YAML of the TensorFlow Model Garden

    @property
    def full_name(self) -> str:
        """Its name as its makers write it."""
        return _NAMES[self]


_NAMES = {
    Framework.DETECTRON2: "Detectron2",
    Framework.MMDET: "MMDetection",
    Framework.TORCHVISION: "torchvision",
    Framework.TF_OD: "TF Object Detection API",
    Framework.TFM: "TF Model Garden",
}
