"""Augmentation inside the compiled step: one affine map per image for pixels and boxes alike, then colour.

Shapes: B images [B, H, W, 3] RGB 0..255, G ground-truth slots. Boxes are `yxyx` float32 canvas pixels; a dropped or
padded box is all zeros. The extent (height, width) of an image is the part of the canvas, from the top left, that holds
picture and not padding. Coordinates are continuous: pixel i covers [i, i + 1] and its centre is i + 0.5.
"""

import math

import numpy as np
from keras import ops

from detector import boxes as box_math
from detector.boxes import Tensor
from detector.config import Augmentation
from detector.data.image_file import PADDING_RGB
from detector.randomness import Stream, uniform

FIELDS = tuple(Augmentation.__dataclass_fields__)  # order of the packed ranges
DRAWS = 9  # flip, zoom, shift y, shift x, angle, brightness, contrast, hue, saturation
LEAST_SIDE_PX = 1.0  # a box that shows less is dropped

# Luma and the two chroma axes of NTSC: a turn of the chroma plane changes the hue and keeps luma.
YIQ_FROM_RGB = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
RGB_FROM_YIQ = np.linalg.inv(YIQ_FROM_RGB)
CHROMA = (RGB_FROM_YIQ @ np.diag([0.0, 1.0, 1.0]) @ YIQ_FROM_RGB).astype(np.float32)
CHROMA_QUARTER_TURN = (RGB_FROM_YIQ @ np.array([[0, 0, 0], [0, 0, -1], [0, 1, 0]]) @ YIQ_FROM_RGB).astype(np.float32)


def pack_ranges(augmentation: Augmentation) -> np.ndarray:
    """The ranges as float32 [9], in the order of the fields of `Augmentation`: the run-time input of `augment`."""
    return np.array([getattr(augmentation, name) for name in FIELDS], np.float32)


def augment(
    images: Tensor, boxes: Tensor, valid: Tensor, extents: Tensor, *, ranges: Tensor, seed: Tensor, index: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Images float32 [B, H, W, 3] in 0..255, boxes [B, G, 4], valid bool [B, G] and extents float32 [B, 2], changed.

    Takes uint8 `images`, `boxes`, `valid`, `extents` (height, width) [B, 2], `ranges` [9] from `pack_ranges`, an
    integer `seed` and the integer `index` [B] of each image; what happens to an image depends on these two only, not on
    its place in the batch. All-zero ranges return the picture exactly; outside the picture is `PADDING_RGB`. A new
    extent reaches as far right and down as the moved picture does.
    """
    ranges = dict(zip(FIELDS, ops.unstack(ops.cast(ranges, "float32"), num=len(FIELDS)), strict=True))
    draws = ops.unstack(uniform(seed, Stream.AUGMENTATION, index, DRAWS), num=DRAWS, axis=1)  # each [B]
    height, width = images.shape[1:3]
    extents = ops.cast(extents, "float32")
    matrix, shift = _affine(ranges, draws[:5], height=height, width=width)

    pictures, inside = _sample(images, extents, matrix, shift)
    pictures = _recolour(pictures, inside, ranges, draws[5:])
    pictures = ops.where(inside[..., None], pictures, ops.convert_to_tensor(PADDING_RGB, "float32"))
    boxes, valid = _move_boxes(boxes, valid, extents, matrix, shift, ranges["visible_share"], limits=(height, width))
    return pictures, boxes, valid, _move_extents(extents, matrix, shift, limits=(height, width))


def _affine(ranges: dict[str, Tensor], draws: list[Tensor], *, height: int, width: int) -> tuple[Tensor, Tensor]:
    """The map p -> p + matrix · (p - centre) + shift of (y, x) points: matrix [B, 2, 2] and shift [B, 2] in px.

    The matrix lacks the identity, so that ranges of zero map every point to itself without rounding.
    """
    flip, zoom, shift_y, shift_x, angle = draws
    sign = ops.where(flip < ranges["flip_probability"], -1.0, 1.0)
    factor = ops.exp(_signed(zoom) * ops.log1p(ranges["scale"]))
    radians = _signed(angle) * ranges["rotation_deg"] * (math.pi / 180)
    cos, sin = factor * ops.cos(radians), factor * ops.sin(radians)
    matrix = ops.stack([ops.stack([cos - 1.0, -sin * sign], -1), ops.stack([sin, cos * sign - 1.0], -1)], -2)
    shift = ops.stack([_signed(shift_y) * ranges["crop"] * height, _signed(shift_x) * ranges["crop"] * width], -1)
    return matrix, shift


def _signed(draw: Tensor) -> Tensor:
    """A number in [0, 1) moved to [-1, 1)."""
    return 2.0 * draw - 1.0


def _inverse(matrix: Tensor) -> Tensor:
    """The inverse of identity + `matrix` [B, 2, 2], less the identity; exactly 0 for 0."""
    a, b, c, d = matrix[:, 0, 0], matrix[:, 0, 1], matrix[:, 1, 0], matrix[:, 1, 1]
    rest = a + d + a * d - b * c  # determinant less 1
    determinant = 1.0 + rest
    rows = [[(d - rest) / determinant, -b / determinant], [-c / determinant, (a - rest) / determinant]]
    return ops.stack([ops.stack(row, -1) for row in rows], -2)


def _move(y: Tensor, x: Tensor, centre: Tensor, matrix: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """Points [B, ...] (y, x) under the map about `centre` [B, 2]."""
    form = (-1, *([1] * (len(x.shape) - 1)))
    (a, b), (c, d) = ([ops.reshape(matrix[:, row, column], form) for column in (0, 1)] for row in (0, 1))
    from_y = y - ops.reshape(centre[:, 0], form)
    from_x = x - ops.reshape(centre[:, 1], form)
    moved_y = y + (a * from_y + b * from_x) + ops.reshape(shift[:, 0], form)
    return moved_y, x + (c * from_y + d * from_x) + ops.reshape(shift[:, 1], form)


def _sample(images: Tensor, extents: Tensor, matrix: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """Pictures float32 [B, H, W, 3] read bilinearly through the inverse map; which pixels show picture, [B, H, W]."""
    count, height, width, _ = images.shape
    y, x = np.meshgrid(np.arange(height, dtype=np.float32), np.arange(width, dtype=np.float32), indexing="ij")
    centre = extents / 2 - 0.5  # of pixel indices
    # Slice, then reshape: TensorFlow's graph optimizer loses new axes when it folds a slice of a stack.
    y, x = (axis - ops.reshape(shift[:, place], (-1, 1, 1)) for place, axis in enumerate((y, x)))  # [B, H, W]
    y, x = _move(y, x, centre, _inverse(matrix), ops.zeros_like(shift))
    drawn = ops.maximum(ops.round(extents), 1.0)[:, None, None]  # whole pixels, as the image cache rounds them
    last_y, last_x = drawn[..., 0] - 1.0, drawn[..., 1] - 1.0
    inside = (y >= -0.5) & (y <= last_y + 0.5) & (x >= -0.5) & (x <= last_x + 0.5)

    flat = ops.reshape(ops.cast(images, "float32"), (-1, 3))  # float before reading: not every device gathers uint8
    first = (np.arange(count, dtype=np.int32) * (height * width))[:, None, None]
    y, x = ops.clip(y, 0.0, last_y), ops.clip(x, 0.0, last_x)
    low_y, low_x = ops.floor(y), ops.floor(x)
    pictures = 0.0
    for row, row_share in ((low_y, 1.0 - (y - low_y)), (ops.minimum(low_y + 1.0, last_y), y - low_y)):
        for column, column_share in ((low_x, 1.0 - (x - low_x)), (ops.minimum(low_x + 1.0, last_x), x - low_x)):
            position = first + ops.cast(row, "int32") * width + ops.cast(column, "int32")
            pictures = pictures + ops.take(flat, position, axis=0) * (row_share * column_share)[..., None]
    return pictures, inside


def _recolour(pictures: Tensor, inside: Tensor, ranges: dict[str, Tensor], draws: list[Tensor]) -> Tensor:
    """Pictures with brightness, contrast, hue and saturation changed, in this order, clipped to 0..255.

    Each change is added to the picture, so that a range of zero leaves it exactly as it is.
    """
    brightness, contrast, hue, saturation = draws
    pictures = pictures + (255.0 * ranges["brightness"] * _signed(brightness))[:, None, None, None]
    weights = ops.cast(inside, "float32")[..., None] * YIQ_FROM_RGB[0].astype(np.float32)
    mean = ops.sum(pictures * weights, axis=(1, 2, 3)) / ops.maximum(ops.sum(weights, axis=(1, 2, 3)), 1.0)
    mean = mean[:, None, None, None]
    pictures = pictures + (ranges["contrast"] * _signed(contrast))[:, None, None, None] * (pictures - mean)

    strength = 1.0 + ranges["saturation"] * _signed(saturation)
    turn = 2 * math.pi * ranges["hue"] * _signed(hue)
    along, across = (strength * ops.cos(turn) - 1.0)[:, None, None], (strength * ops.sin(turn))[:, None, None]
    matrix = along * CHROMA + across * CHROMA_QUARTER_TURN  # [B, 3, 3]
    change = ops.matmul(pictures, ops.transpose(matrix, (0, 2, 1))[:, None])
    return ops.clip(pictures + change, 0.0, 255.0)


def _corner_points(boxes: Tensor) -> tuple[Tensor, Tensor]:
    """The four corners of `boxes` [B, G, 4] as y and x [B, G, 4]."""
    top, left, bottom, right = ops.unstack(boxes, num=4, axis=-1)
    return ops.stack([top, top, bottom, bottom], -1), ops.stack([left, right, left, right], -1)


def _enclosing(boxes: Tensor, extents: Tensor, matrix: Tensor, shift: Tensor) -> Tensor:
    """The upright boxes [B, G, 4] around the moved `boxes` [B, G, 4], unclipped."""
    y, x = _move(*_corner_points(boxes), extents / 2, matrix, shift)
    return ops.stack([ops.min(y, -1), ops.min(x, -1), ops.max(y, -1), ops.max(x, -1)], -1)


def _move_boxes(
    boxes: Tensor,
    valid: Tensor,
    extents: Tensor,
    matrix: Tensor,
    shift: Tensor,
    visible_share: Tensor,
    *,
    limits: tuple[int, int],
) -> tuple[Tensor, Tensor]:
    """Boxes moved and clipped to the canvas; zeros and not valid where too little is left to see."""
    moved = _enclosing(boxes, extents, matrix, shift)
    clipped = box_math.clip(moved, float(limits[0]), float(limits[1]))
    seen = box_math.area(clipped) >= visible_share * box_math.area(moved)
    tall = clipped[..., 2] - clipped[..., 0] >= LEAST_SIDE_PX
    wide = clipped[..., 3] - clipped[..., 1] >= LEAST_SIDE_PX
    valid = ops.cast(valid, "bool") & seen & tall & wide
    return ops.where(valid[..., None], clipped, 0.0), valid


def _move_extents(extents: Tensor, matrix: Tensor, shift: Tensor, *, limits: tuple[int, int]) -> Tensor:
    """How far down and right the moved picture reaches on the canvas, float32 [B, 2]."""
    picture = ops.concatenate([ops.zeros_like(extents), extents], axis=-1)[:, None]  # [B, 1, 4]
    moved = box_math.clip(_enclosing(picture, extents, matrix, shift), float(limits[0]), float(limits[1]))
    return moved[:, 0, 2:]
