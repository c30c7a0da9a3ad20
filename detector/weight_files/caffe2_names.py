"""Names of the first Detectron (Caffe2), which Detectron2's ImageNet files have, as Detectron2 reads them."""

import re
from collections.abc import Mapping

import numpy as np

FOLDED_VARIANCE = 1.0 - 1e-5  # with Detectron2's epsilon a variance of 1
_RULES = (
    (r"_", "."),
    (r"\.b$", ".bias"),
    (r"\.w$", ".weight"),
    (r"bn\.(s|gamma)$", "norm.weight"),
    (r"bn\.(bias|beta)$", "norm.bias"),
    (r"bn\.(rm|running\.mean)$", "norm.running_mean"),
    (r"bn\.(riv|running\.var)$", "norm.running_var"),
    (r"^res\.conv1\.norm\.", "conv1.norm."),
    (r"^conv1\.", "stem.conv1."),
    (r"\.branch1\.", ".shortcut."),
    (r"\.branch2a\.", ".conv1."),
    (r"\.branch2b\.", ".conv2."),
    (r"\.branch2c\.", ".conv3."),
)


def detectron2_names(values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The values of a backbone under Detectron2's names; what is none of its layers keeps whatever name comes out."""
    return {_renamed(name): value for name, value in values.items() if not name.endswith("_momentum")}


def _renamed(name: str) -> str:
    for pattern, replacement in _RULES:
        name = re.sub(pattern, replacement, name)
    return name
