"""Annotations as a file states them, not yet checked against the images: what the readers hand to `dataset`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from detector.config import ConfigError

MOST_EXAMPLES = 5

#: An id as the file states it: it only tells entries apart.
Key = int | str


class Fault(StrEnum):
    """What is wrong with a dataset, where it can't be used as it is."""

    ANNOTATION_FILE = "annotation-file"  # missing, or breaks a rule of its format
    UNKNOWN_CATEGORY = "unknown-category-id"  # a label that the file doesn't define: off by one, or not mapped
    CLASS_MISMATCH = "class-mismatch"  # validation data has a class that training data lacks
    COORDINATE_ORDER = "coordinate-order"  # most boxes are impossible as they stand
    IMAGE_PATH = "image-path"  # absolute, or leads out of the folder
    IMAGE_MISSING = "image-missing"
    IMAGE_UNREADABLE = "image-unreadable"
    IMAGE_TOO_LARGE = "image-too-large"
    IMAGE_SIZE = "image-size"  # not what the annotations state
    EXIF_ROTATION = "exif-rotation"  # the boxes were drawn on the picture as it lies in the file
    LISTED_TWICE = "image-listed-twice"
    LEAKAGE = "train-validation-leakage"
    NO_BOXES = "no-boxes"
    UNUSABLE = "unusable-data"  # anything else; the message says what


#: An image alone is to blame, and may be left out (`data.on_bad_image`).
OF_ONE_IMAGE = (Fault.IMAGE_MISSING, Fault.IMAGE_UNREADABLE, Fault.IMAGE_TOO_LARGE, Fault.IMAGE_SIZE)


class DataError(ConfigError):
    """A file of the dataset that the user must change. The message holds the file, the reason and what to do."""

    def __init__(self, message: str, *, fault: Fault = Fault.UNUSABLE) -> None:
        super().__init__(message)
        self.fault = fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Defect:
    """One place where a dataset is faulty."""

    fault: Fault
    file: str  # the image, or the annotations where none is concerned
    message: str


class BadImages(DataError):
    """Images that can't be used, each with the reason; all others of the source can."""

    def __init__(self, message: str, *, annotations: Path, defects: Sequence[Defect]) -> None:
        super().__init__(message, fault=defects[0].fault)
        self.annotations = annotations  # that name them
        self.defects = tuple(defects)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotatedBox:
    """One object. The corners are unchecked: they may be NaN, swapped or outside the image."""

    category_id: Key
    corners: tuple[float, float, float, float]  # x1, y1, x2, y2 in pixels; 0 is the left or upper image border
    crowd: bool
    area_px: float | None  # of the object, as COCO states it; None: the area of the box
    name: str  # for messages: `annotations[17]`


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotatedImage:
    """One image as the annotations describe it."""

    file_name: str  # relative to the folder of images; unchecked
    image_id: Key
    width_px: int | None  # as stated; None: not stated
    height_px: int | None
    boxes: tuple[AnnotatedBox, ...]
    place: str  # for messages: the file, and where in it
    fractions: bool = False  # corners are fractions of the upright image's width and height


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """Something that was left out, or taken otherwise than it stands: nothing of that happens in silence."""

    name: str  # stable, for programs
    message: str
    advice: str
    count: int
    examples: tuple[str, ...] = ()
    harmless: bool = True  # it is as most people mean it


@dataclass(slots=True)
class Seen:
    """How often something was seen, and where first; for remarks on what streams by."""

    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, place: str) -> None:
        """Count it once more."""
        self.count += 1
        if len(self.examples) < MOST_EXAMPLES:
            self.examples.append(place)

    def remark(self, name: str, message: str, advice: str, *, harmless: bool = True) -> list[Remark]:
        """The remark, its number before the message; none where nothing was seen."""
        if not self.count:
            return []
        return [
            Remark(
                name=name, message=f"{self.count} {message}", advice=advice, count=self.count,
                examples=tuple(self.examples), harmless=harmless,
            )
        ]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotations:
    """One annotated split, consistent in itself: ids are unique, and every category that a box names exists."""

    images: tuple[AnnotatedImage, ...]
    categories: dict[Key, str]  # id to name: numbers in increasing order, then texts as in the file
    digest: str  # sha256 of the bytes that were read
    remarks: tuple[Remark, ...] = ()


def problems_message(problems: list[str], *, listed: int = 10) -> str:
    """The first problems, one a line, and how many more there are."""
    lines = [f"  {problem}" for problem in problems[:listed]]
    if len(problems) > listed:
        lines.append(f"  … and {len(problems) - listed} more")
    return "\n".join(lines)
