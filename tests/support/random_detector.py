"""Values of a detector that nobody trained, drawn by name, so that two programs have the same without a file between
them; pictures and boxes likewise. Needs NumPy alone."""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

SPREAD = {  # of a value by the end of its name; what is not here varies as fan-in asks
    "running_mean": (-0.2, 0.2),
    "running_var": (0.5, 2.0),
    "bias": (-0.1, 0.1),
}
OUTPUT_SCALE = {  # so that scores differ, and boxes move
    "rpn.head.cls_logits.weight": 0.4,
    "rpn.head.bbox_pred.weight": 0.2,
    "roi_heads.box_predictor.cls_score.weight": 1.0,
    "roi_heads.box_predictor.bbox_pred.weight": 0.4,
}
BRANCH_SCALE = 0.3  # of the norm that closes a residual branch: features stay small over the depth


def generator(*key: object) -> np.random.Generator:
    """Random numbers that depend on the key alone."""
    return np.random.default_rng(int.from_bytes(hashlib.sha256(repr(key).encode()).digest()[:8], "big"))


def random_values(shapes: Mapping[str, Sequence[int]], seed: int, closing: int = 3) -> dict[str, np.ndarray]:
    """An array for each of torchvision's names; `closing` is the number of the last norm of a branch."""
    return {name: _value(name, tuple(shape), seed, closing) for name, shape in shapes.items()}


def _value(name: str, shape: tuple[int, ...], seed: int, closing: int) -> np.ndarray:
    random, end = generator(seed, name), name.rsplit(".", 1)[1]
    if end == "num_batches_tracked":
        return np.zeros(shape, np.int64)
    if end in SPREAD:
        return random.uniform(*SPREAD[end], shape).astype(np.float32)
    if len(shape) == 1:  # of a norm
        scale = BRANCH_SCALE if f".bn{closing}." in name else 1.0
        return (scale * random.uniform(0.5, 1.5, shape)).astype(np.float32)
    deviation = OUTPUT_SCALE.get(name, 1.0) * (1.5 / np.prod(shape[1:])) ** 0.5
    return (deviation * random.standard_normal(shape)).astype(np.float32)


def picture(height_px: int, width_px: int) -> np.ndarray:
    """uint8 RGB [H, W, 3] with structure of every size."""
    random, total = generator("picture", height_px, width_px), np.zeros((height_px, width_px, 3))
    for side in (32, 16, 8, 4, 2, 1):
        coarse = random.standard_normal((height_px // side, width_px // side, 3))
        total += coarse.repeat(side, axis=0).repeat(side, axis=1)
    return np.clip(128 + 30 * total, 0, 255).astype(np.uint8)


def boxes(height_px: int, width_px: int, count: int) -> np.ndarray:
    """float32 [count, 4] of `yxyx` inside the canvas, of every size down to less than a cell."""
    random, extent = generator("boxes", height_px, width_px), np.array([height_px, width_px])
    sides = np.exp(random.uniform(np.log(2), np.log(extent), (count, 2)))
    start = random.uniform(0, 1, (count, 2)) * (extent - sides)
    return np.concatenate([start, start + sides], axis=1).astype(np.float32)


def places(name: str, size: int, count: int = 50) -> np.ndarray:
    """Sorted places in a flat array, at which its values are kept as samples."""
    return np.sort(generator("places", name, size).choice(size, min(size, count), replace=False))
