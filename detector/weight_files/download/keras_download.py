"""Where Keras keeps what it downloads, and whether it could have its ImageNet weights. Loads no Keras."""

import os
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from detector.config import FETCHED_BACKBONES, BackboneName
from detector.weight_files.download.web_answer import answering

IMAGENET = "https://storage.googleapis.com/tensorflow/keras-applications/resnet/{}"
FILES: Mapping[BackboneName, str] = {
    name: f"{name}_weights_tf_dim_ordering_tf_kernels_notop.h5" for name in FETCHED_BACKBONES
}


def models_folder() -> Path:
    """Keras's own folder for weights, by its rules."""
    if home := os.environ.get("KERAS_HOME"):
        return Path(home) / "models"
    own = os.path.expanduser("~")
    return Path(own if os.access(own, os.W_OK) else "/tmp") / ".keras" / "models"


def has_imagenet(backbone: BackboneName) -> bool:
    """Whether ImageNet weights of that backbone are on this host, or their server answers within seconds."""
    file = FILES.get(backbone)
    if file is None:
        return False
    if (models_folder() / file).is_file():
        return True
    try:
        with closing(answering(IMAGENET.format(file), method="HEAD")):
            return True
    except OSError:
        return False
