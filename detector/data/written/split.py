"""One split to be written, and what the formats have in common."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from detector.data.dataset import Dataset, Image


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenSplit:
    """A dataset, and the name of its split: train or val."""

    name: str
    dataset: Dataset


def corners_of(image: Image) -> Iterator[tuple[float, float, float, float]]:
    """x1, y1, x2, y2 of each box, with as many digits as float32 has."""
    for y1, x1, y2, x2 in image.boxes:
        yield _plain(x1), _plain(y1), _plain(x2), _plain(y2)


def flat_names(names: list[str]) -> list[str]:
    """The names without folders, each other than the rest also without its suffix."""
    taken: set[str] = set()
    found = []
    for name in names:
        flat = PurePosixPath(name.replace("/", "_"))
        stem, number = flat.stem, 1
        while stem.casefold() in taken:
            number += 1
            stem = f"{flat.stem}_{number}"
        taken.add(stem.casefold())
        found.append(f"{stem}{flat.suffix}")
    return found


def _plain(value: np.float32) -> float:
    """The shortest number that is the same float32."""
    return float(str(value))
