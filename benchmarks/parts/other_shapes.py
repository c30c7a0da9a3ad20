"""Another domain than the sample data's: rings, crosses, stars and bars in other colours, on striped coloured ground.

Nothing is shared with `detector.data.sample_data` but the layout of the files: no class, no hue, no texture.
"""

import colorsys
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

HUES = {"ring": 0.15, "cross": 0.49, "star": 0.82, "bar": 0.88}  # of the colour circle; the sample's are between
CLASSES = tuple(HUES)
SIDES_PX = (14.0, 56.0)
MOST_OBJECTS = 4
SMOOTHING = 4  # sub-pixels per pixel and axis

Pixels = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """An object on a picture, by its tight box."""

    kind: str
    y1: int
    x1: int
    mask: Pixels  # opacity [height, width]

    @property
    def box(self) -> list[int]:
        """x, y, width, height, as COCO has it."""
        return [self.x1, self.y1, self.mask.shape[1], self.mask.shape[0]]

    def meets(self, other: "Placed") -> bool:
        """Whether the boxes have a pixel in common."""
        (x, y, wide, high), (left, top, broad, tall) = self.box, other.box
        return x < left + broad and left < x + wide and y < top + tall and top < y + high


def write_other_shapes(folder: Path, *, seed: int, train: int, validation: int, size_px: tuple[int, int]) -> None:
    """Write train.json, val.json and images/, in COCO's layout; the same arguments give the same pictures."""
    (folder / "images").mkdir(parents=True)
    for stream, (split, count) in enumerate((("train", train), ("val", validation))):
        pictures = []
        for index in range(count):
            pixels, objects = picture(np.random.default_rng([seed, stream, index]), size_px)
            Image.fromarray(pixels).save(folder / "images" / f"{split}_{index:04d}.png")
            pictures.append(objects)
        (folder / f"{split}.json").write_text(json.dumps(_document(split, pictures, size_px)), encoding="utf-8")


def picture(random: np.random.Generator, size_px: tuple[int, int]) -> tuple[NDArray[np.uint8], list[Placed]]:
    """uint8 RGB [H, W, 3], and what was drawn on it."""
    pixels, objects = _stripes(random, size_px), list(_placed(random, size_px))
    for each in objects:
        hue = HUES[each.kind] + random.uniform(-0.03, 0.03)
        colour = 255 * np.array(colorsys.hsv_to_rgb(hue % 1.0, random.uniform(0.4, 0.8), random.uniform(0.6, 1.0)))
        under = pixels[each.y1 : each.y1 + each.mask.shape[0], each.x1 : each.x1 + each.mask.shape[1]]
        under[:] = under * (1 - each.mask[..., None]) + colour * each.mask[..., None]
    pixels += random.normal(0.0, 4.0, pixels.shape)
    return np.clip(np.round(pixels), 0, 255).astype(np.uint8), objects


def _stripes(random: np.random.Generator, size_px: tuple[int, int]) -> Pixels:
    """Two dark colours in waves of one direction, [H, W, 3] in 0 … 255."""
    y, x = np.mgrid[0 : size_px[0], 0 : size_px[1]]
    angle, wave_px = random.uniform(0, np.pi), random.uniform(6, 40)
    share = 0.5 + 0.5 * np.sin(2 * np.pi * (y * np.sin(angle) + x * np.cos(angle)) / wave_px)
    one, other = random.uniform(10, 120, (2, 3))
    stripes: Pixels = one * share[..., None] + other * (1 - share[..., None])
    return stripes


def _placed(random: np.random.Generator, size_px: tuple[int, int]) -> Iterator[Placed]:
    taken: list[Placed] = []
    for _ in range(random.integers(1, MOST_OBJECTS + 1)):
        kind = CLASSES[random.integers(len(CLASSES))]
        mask = _mask(random, kind, most_px=min(size_px) - 2)
        for _ in range(20):
            y1, x1 = (int(random.integers(0, whole - own + 1)) for whole, own in zip(size_px, mask.shape, strict=True))
            new = Placed(kind=kind, y1=y1, x1=x1, mask=mask)
            if not any(new.meets(other) for other in taken):
                taken.append(new)
                yield new
                break


def _mask(random: np.random.Generator, kind: str, *, most_px: float) -> Pixels:
    """Opacity [height, width], cropped to what is covered by half or more."""
    side = min(float(np.exp(random.uniform(*np.log(SIDES_PX)))), most_px / 1.5)
    reach = int(np.ceil(side)) + 2
    drawing = Image.new("L", (2 * reach * SMOOTHING,) * 2)
    ImageDraw.Draw(drawing).polygon(
        [tuple(SMOOTHING * (reach + point * side / 2)) for point in _outline(kind, random)], fill=255
    )
    if kind == "ring":
        inner = SMOOTHING * np.array([reach - side / 4, reach + side / 4]).repeat(2).reshape(2, 2)
        ImageDraw.Draw(drawing).ellipse([*map(tuple, inner)], fill=0)
    opacity = np.asarray(drawing.resize((2 * reach,) * 2, Image.Resampling.BOX), dtype=np.float64) / 255.0
    rows, columns = (np.nonzero((opacity >= 0.5).any(axis=axis))[0] for axis in (1, 0))
    return opacity[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _outline(kind: str, random: np.random.Generator) -> Pixels:
    """Corners (x, y), turned at random, within a circle of radius 1."""
    match kind:
        case "ring":
            radii = np.ones(40)
        case "cross":  # twelve corners: two at each end, one in each angle
            return _turned(np.array([(1, 0.3), (0.3, 0.3), (0.3, 1), (-0.3, 1)]), random)
        case "star":
            radii = np.tile([1.0, 0.42], 5)
        case _:
            return _turned(np.array([(1, 0.25), (-1, 0.25)]), random)
    angles = random.uniform(0, 2 * np.pi) + 2 * np.pi * np.arange(len(radii)) / len(radii)
    return radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _turned(part: Pixels, random: np.random.Generator) -> Pixels:
    """A figure that is the same after a turn, from the corners of one turn, turned at random by up to 20 degrees."""
    turns = 4 if len(part) == 4 else 2
    corners = []
    for turn in random.uniform(-0.35, 0.35) + 2 * np.pi * np.arange(turns) / turns:
        rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        corners.append(part @ rotation)
    outline: Pixels = np.concatenate(corners)
    norm = np.linalg.norm(outline, axis=1).max()
    return outline / norm


def _document(split: str, pictures: list[list[Placed]], size_px: tuple[int, int]) -> dict[str, Any]:
    height, width = size_px
    objects = [(number, each) for number, placed in enumerate(pictures, start=1) for each in placed]
    return {
        "images": [
            {"id": number, "file_name": f"{split}_{number - 1:04d}.png", "width": width, "height": height}
            for number in range(1, len(pictures) + 1)
        ],
        "categories": [{"id": number, "name": name} for number, name in enumerate(CLASSES, start=1)],
        "annotations": [
            {
                "id": number,
                "image_id": image,
                "category_id": CLASSES.index(each.kind) + 1,
                "bbox": each.box,
                "area": each.box[2] * each.box[3],
                "iscrowd": 0,
            }
            for number, (image, each) in enumerate(objects, start=1)
        ],
    }
