"""A small dataset that is drawn, not downloaded: discs, squares and triangles on textured ground, as COCO JSON.

The hue tells the class roughly and the shape exactly, so a network learns it from scratch within a few hundred
images. Half of the objects are smaller than the smallest reference anchor (32 px), so fitting the anchors pays.
"""

import colorsys
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageDraw

from detector.config import ConfigError

CLASSES = ("disc", "square", "triangle")
CATEGORY_IDS = (3, 7, 9)  # with gaps, as real files have them
HUES = {"disc": 0.02, "square": 0.36, "triangle": 0.62}  # turn of the colour circle
HUE_SPREAD = 0.09
SIZES_PX = (10.0, 50.0)
MOST_OBJECTS = 6
MOST_OVERLAP = 0.15  # IoU of two boxes
MARKER = ".frcnn-sample-data"
SMOOTHING = 4  # sub-pixels per pixel and axis


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    """One object; `mask` is its opacity [height, width] in 0 … 1, its tight box begins at (y1, x1)."""

    kind: str
    y1: int
    x1: int
    mask: NDArray[np.float64]

    @property
    def y2(self) -> int:
        return self.y1 + self.mask.shape[0]

    @property
    def x2(self) -> int:
        return self.x1 + self.mask.shape[1]


def write_sample(
    folder: Path,
    *,
    seed: int = 0,
    train: int = 160,
    validation: int = 48,
    size_px: tuple[int, int] = (96, 128),
    sizes_px: tuple[float, float] = SIZES_PX,
) -> None:
    """Write train.json, val.json and images/ with that many images of `size_px` (height, width).

    The sides of the objects lie between `sizes_px`. The same arguments give the same bytes. A folder that this
    function wrote before is overwritten.

    Raises:
        ConfigError: the folder holds other files, or the images are too small for the shapes.
    """
    if train < 1 or validation < 1:
        raise ConfigError(f"a sample needs at least 1 image to train and to validate, got {train} and {validation}")
    if min(size_px) < 64:
        raise ConfigError(f"sample images must be at least 64 px high and wide, but are {size_px[0]} × {size_px[1]}")
    if not 4 <= sizes_px[0] <= sizes_px[1] <= min(size_px) - 4:
        raise ConfigError(f"sizes of sample objects must lie in 4 to {min(size_px) - 4} px, but are {sizes_px}")
    _clear(folder)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    (folder / MARKER).write_text("Written by frcnn-search sample-data, which may overwrite this folder.\n")
    for stream, (split, count) in enumerate((("train", train), ("val", validation))):
        entries = [
            _write_image(folder, split, index, [seed, stream, index], size_px, sizes_px) for index in range(count)
        ]
        document = _document(split, entries, size_px)
        (folder / f"{split}.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def _clear(folder: Path) -> None:
    """Remove an earlier sample; refuse to touch anything else."""
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is a file; name a folder for the sample data")
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not (folder / MARKER).is_file():
        raise ConfigError(f"{folder} is not empty and holds no earlier sample; name a new or an empty folder")
    for file in (folder / "train.json", folder / "val.json"):
        file.unlink(missing_ok=True)
    for pattern in ("train_*.png", "val_*.png"):
        for file in (folder / "images").glob(pattern):
            file.unlink()


def _write_image(
    folder: Path, split: str, index: int, entropy: list[int], size_px: tuple[int, int], sizes_px: tuple[float, float]
) -> list[_Shape]:
    random = np.random.default_rng(entropy)
    pixels = _background(random, size_px)
    shapes = list(_placed(random, size_px, sizes_px))
    for shape in shapes:
        _paint(pixels, shape, random)
    noisy = pixels + random.normal(0.0, random.uniform(1.0, 5.0), pixels.shape)
    picture = Pillow.fromarray(np.clip(np.round(noisy), 0, 255).astype(np.uint8))
    picture.save(folder / "images" / _file_name(split, index))
    return shapes


def _file_name(split: str, index: int) -> str:
    return f"{split}_{index:04d}.png"


def _background(random: np.random.Generator, size_px: tuple[int, int]) -> NDArray[np.float64]:
    """Greyish ground [height, width, 3] in 0 … 255: a gradient of two tones under noise of three grains."""
    height, width = size_px
    tones = random.uniform(60, 190) + random.normal(0.0, 12.0, (2, 3))
    angle = random.uniform(0.0, 2 * np.pi)
    y, x = np.mgrid[0:height, 0:width] / max(size_px)
    ramp = np.clip(0.5 + (y - 0.5) * np.sin(angle) + (x - 0.5) * np.cos(angle), 0.0, 1.0)[..., None]
    ground: NDArray[np.float64] = tones[0] * (1 - ramp) + tones[1] * ramp
    for grain_px in (24, 9, 3):
        coarse = random.normal(0.0, random.uniform(3.0, 11.0), (height // grain_px + 2, width // grain_px + 2))
        grain = Pillow.fromarray(coarse.astype(np.float32)).resize((width, height), Pillow.Resampling.BICUBIC)
        ground += np.asarray(grain, dtype=np.float64)[..., None]
    return ground


def _placed(random: np.random.Generator, size_px: tuple[int, int], sizes_px: tuple[float, float]) -> Iterator[_Shape]:
    """1 to 6 shapes that lie wholly inside and overlap little."""
    taken: list[_Shape] = []
    for _ in range(random.integers(1, MOST_OBJECTS + 1)):
        kind = CLASSES[random.integers(len(CLASSES))]
        mask = _mask(random, kind, sizes_px)
        for _ in range(20):
            y1 = int(random.integers(0, size_px[0] - mask.shape[0] + 1))
            x1 = int(random.integers(0, size_px[1] - mask.shape[1] + 1))
            shape = _Shape(kind=kind, y1=y1, x1=x1, mask=mask)
            if all(_overlap(shape, other) <= MOST_OVERLAP for other in taken):
                taken.append(shape)
                yield shape
                break


def _mask(random: np.random.Generator, kind: str, sizes_px: tuple[float, float]) -> NDArray[np.float64]:
    """Opacity of one shape, cropped to the pixels that it covers by half or more."""
    size = float(np.exp(random.uniform(*np.log(sizes_px))))
    stretch = float(np.exp(random.uniform(-0.35, 0.35)))
    sides = np.clip([size * stretch, size / stretch], *sizes_px)
    reach = int(np.ceil(sides.max())) + 2
    drawing = Pillow.new("L", (2 * reach * SMOOTHING,) * 2)
    draw = ImageDraw.Draw(drawing)
    outline = _outline(kind, random.uniform(-0.3, 0.3)) * sides / 2 + reach
    draw.polygon([(x * SMOOTHING, y * SMOOTHING) for y, x in outline.tolist()], fill=255)
    opacity = np.asarray(drawing.resize((2 * reach,) * 2, Pillow.Resampling.BOX), dtype=np.float64) / 255.0
    rows, columns = np.nonzero((opacity >= 0.5).any(axis=1))[0], np.nonzero((opacity >= 0.5).any(axis=0))[0]
    return opacity[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _outline(kind: str, turn: float) -> NDArray[np.float64]:
    """Corners (y, x) of the shape, turned by an angle and scaled to fill -1 … 1."""
    corners = {"disc": 48, "square": 4, "triangle": 3}[kind]
    start = np.pi / 4 if kind == "square" else 0.0
    angles = start + turn + 2 * np.pi * np.arange(corners) / corners
    points = np.stack([-np.cos(angles), np.sin(angles)], axis=1)
    low, high = points.min(axis=0), points.max(axis=0)
    outline: NDArray[np.float64] = 2 * (points - low) / (high - low) - 1
    return outline


def _overlap(one: _Shape, other: _Shape) -> float:
    height = min(one.y2, other.y2) - max(one.y1, other.y1)
    width = min(one.x2, other.x2) - max(one.x1, other.x1)
    if height <= 0 or width <= 0:
        return 0.0
    return height * width / (one.mask.size + other.mask.size - height * width)


def _paint(pixels: NDArray[np.float64], shape: _Shape, random: np.random.Generator) -> None:
    hue = (HUES[shape.kind] + random.uniform(-HUE_SPREAD, HUE_SPREAD)) % 1.0
    colour = np.array(colorsys.hsv_to_rgb(hue, random.uniform(0.5, 1.0), random.uniform(0.55, 1.0))) * 255
    texture = colour + random.normal(0.0, 8.0, (*shape.mask.shape, 1))
    under = pixels[shape.y1 : shape.y2, shape.x1 : shape.x2]
    under[:] = under * (1 - shape.mask[..., None]) + texture * shape.mask[..., None]


def _document(split: str, entries: list[list[_Shape]], size_px: tuple[int, int]) -> dict[str, object]:
    height, width = size_px
    boxes = [(number, shape) for number, shapes in enumerate(entries, start=1) for shape in shapes]
    ids = dict(zip(CLASSES, CATEGORY_IDS, strict=True))
    return {
        "info": {"description": "Shapes drawn by frcnn-search sample-data"},
        "images": [
            {"id": number, "file_name": _file_name(split, number - 1), "width": width, "height": height}
            for number in range(1, len(entries) + 1)
        ],
        "categories": [{"id": number, "name": name} for name, number in ids.items()],
        "annotations": [
            {
                "id": number,
                "image_id": image_id,
                "category_id": ids[shape.kind],
                "bbox": [shape.x1, shape.y1, shape.x2 - shape.x1, shape.y2 - shape.y1],
                "area": (shape.x2 - shape.x1) * (shape.y2 - shape.y1),
                "iscrowd": 0,
            }
            for number, (image_id, shape) in enumerate(boxes, start=1)
        ],
    }
