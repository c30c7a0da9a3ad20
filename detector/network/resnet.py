"""ResNets (He et al. 2015) of any depth: images to the features C2 to C5.

Names of layers and variables are those of keras.applications, so that its files fill the ones that it has. A residual
branch has two 3 × 3 convolutions (basic block), or 1 × 1, 3 × 3, 1 × 1 (bottleneck).
"""

import keras
from keras import layers

from detector.boxes import Tensor
from detector.config import Canvas
from detector.geometry import Geometry, StridePlace
from detector.resnets import EXPANSION, FIRST_STAGE, WIDTHS, ResNetShape


def build_resnet(shape: ResNetShape, canvas: Canvas, geometry: Geometry) -> keras.Model:
    """Preprocessed images [B, H, W, 3] of the canvas to C2 to C5, with values that are not yet meant for training."""
    images = keras.Input((canvas.height_px, canvas.width_px, 3))
    features = layers.ZeroPadding2D(3, name="conv1_pad")(images)
    features = layers.Conv2D(WIDTHS[0], 7, strides=2, name="conv1_conv")(features)
    features = _normalised(features, "conv1_bn", geometry)
    features = layers.Activation("relu", name="conv1_relu")(features)
    features = layers.ZeroPadding2D(1, name="pool1_pad")(features)  # zeros are the least after a ReLU
    features = layers.MaxPooling2D(3, strides=2, name="pool1_pool")(features)
    outputs = []
    for stage, (count, width) in enumerate(zip(shape.blocks, WIDTHS, strict=True), start=FIRST_STAGE):
        for number in range(1, count + 1):
            stride = 2 if number == 1 and stage > FIRST_STAGE else 1
            branch = _bottleneck(width, stride, geometry) if shape.bottleneck else _basic(width, stride)
            features = _block(features, f"conv{stage}_block{number}", branch, stride, geometry)
        outputs.append(features)
    return keras.Model(images, outputs, name="backbone")


Branch = tuple[tuple[int, int, int], ...]  # size, stride and filters of each convolution


def _basic(width: int, stride: int) -> Branch:
    return (3, stride, width), (3, 1, width)


def _bottleneck(width: int, stride: int, geometry: Geometry) -> Branch:
    first, middle = (stride, 1) if geometry.stride_place is StridePlace.FIRST else (1, stride)
    return (1, first, width), (3, middle, width), (1, 1, EXPANSION * width)


def _block(features: Tensor, name: str, branch: Branch, stride: int, geometry: Geometry) -> Tensor:
    shortcut, filters = features, branch[-1][-1]
    if stride > 1 or features.shape[-1] != filters:
        shortcut = layers.Conv2D(filters, 1, strides=stride, name=f"{name}_0_conv")(features)
        shortcut = _normalised(shortcut, f"{name}_0_bn", geometry)
    for number, (size, own_stride, own_filters) in enumerate(branch, start=1):
        if number > 1:
            features = layers.Activation("relu", name=f"{name}_{number - 1}_relu")(features)
        features = _convolved(features, f"{name}_{number}", size, own_stride, own_filters)
        features = _normalised(features, f"{name}_{number}_bn", geometry)
    features = layers.Add(name=f"{name}_add")([shortcut, features])
    return layers.Activation("relu", name=f"{name}_out")(features)


def _convolved(features: Tensor, name: str, size: int, stride: int, filters: int) -> Tensor:
    if size == 1:
        return layers.Conv2D(filters, 1, strides=stride, name=f"{name}_conv")(features)
    if stride == 1:
        return layers.Conv2D(filters, size, padding="same", name=f"{name}_conv")(features)
    # Keras's own padding would put no cell before an even map, and move it by a pixel.
    features = layers.ZeroPadding2D(size // 2, name=f"{name}_pad")(features)
    return layers.Conv2D(filters, size, strides=stride, name=f"{name}_conv")(features)


def _normalised(features: Tensor, name: str, geometry: Geometry) -> Tensor:
    return layers.BatchNormalization(epsilon=geometry.norm_epsilon, name=name)(features)
