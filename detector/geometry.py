"""What a backbone's weights were trained as: facts of their file, never a wish of the user or a hyperparameter.

The same ResNet means another function in each framework: where a block halves its map, what a pixel is, what is added
to a variance. A file of a whole detector also says where its anchors lie and from where its RoIs are read.
"""

from dataclasses import dataclass, replace
from enum import StrEnum


class StridePlace(StrEnum):
    """Which convolution of a bottleneck block halves the map."""

    FIRST = "1x1"  # as the original ResNet (MSRA), keras.applications and Detectron2's own models
    MIDDLE = "3x3"  # as torchvision, padded by one cell on every side


class ChannelOrder(StrEnum):
    """Order of a picture's channels."""

    RGB = "RGB"
    BGR = "BGR"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pixels:
    """What a backbone is given: (level - mean) / deviation, of levels 0 to 255, channel by channel in its order."""

    order: ChannelOrder
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float] = (1.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """What decides the function that a detector's values mean; the default is that of keras.applications."""

    stride_place: StridePlace = StridePlace.FIRST
    pixels: Pixels = Pixels(order=ChannelOrder.BGR, mean=(103.939, 116.779, 123.68))
    norm_epsilon: float = 1.001e-5  # added to each variance
    anchor_offset: float = 0.5  # of the first anchor from its level's corner, in cells
    rounded_anchors: bool = False  # sides at whole pixels
    aligned_rois: bool = True  # RoIAlign moves by half a pixel, as Detectron2's and unlike torchvision's


KERAS = Geometry()
#: torchvision's classifiers: RGB, divided by 255, less the mean and over the deviation of ImageNet.
TORCHVISION = Geometry(
    stride_place=StridePlace.MIDDLE,
    pixels=Pixels(
        order=ChannelOrder.RGB,
        mean=(255 * 0.485, 255 * 0.456, 255 * 0.406),
        deviation=(255 * 0.229, 255 * 0.224, 255 * 0.225),
    ),
    norm_epsilon=1e-5,
)
#: The original ResNets, as Detectron2 has them.
MSRA = Geometry(pixels=Pixels(order=ChannelOrder.BGR, mean=(103.53, 116.28, 123.675)), norm_epsilon=1e-5)
#: Its whole detectors, whose anchors begin in the corner.
DETECTRON2_DETECTOR = replace(MSRA, anchor_offset=0.0)
