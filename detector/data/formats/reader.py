"""What is decided by the format of a dataset, as a value."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detector.data.formats.annotation import Annotations
from detector.data_source import DataSource

Pair = tuple[DataSource, DataSource | None]  # training data, and validation data where there is any
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """One format: how its files are read, how its folders look, and how its boxes are misunderstood."""

    read: Callable[[DataSource], Annotations]  # raises DataError
    recognise: Callable[[Path], Pair | None]  # the data of a folder in a usual layout; none is read
    of_file: Callable[[Path], Pair | None]  # the data that one file annotates, where it is of this format
    layouts: tuple[str, ...]  # what `recognise` looks for, for messages
    box: str  # the four numbers of a box, for messages
    mistaken: Mapping[str, Callable[[Floats], Floats]]  # corners [n, 4] as read to those of another order of numbers
