"""Which columns a CSV table of boxes has, and what its cells say."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from detector.data.formats.annotation import DataError

Corners = tuple[float, float, float, float]

_IMAGE = (
    "filename", "file_name", "file", "image", "image_name", "image_path", "img", "img_path", "path", "image_id",
    "imageid",
)  # fmt: skip
_LABEL = ("class", "label", "category", "name", "class_name", "label_name", "labelname", "classname", "object")
_CORNERS = (
    ("xmin", "ymin", "xmax", "ymax"),
    ("x1", "y1", "x2", "y2"),
    ("x_min", "y_min", "x_max", "y_max"),
    ("left", "top", "right", "bottom"),
)
_SIDES = (("x", "y", "w", "h"), ("x", "y", "width", "height"), ("left", "top", "width", "height"))
_SIZES = (("width", "height"), ("image_width", "image_height"), ("img_width", "img_height"))
_ONE_CELL = ("bbox", "box")

RETINANET = ("path", "x1", "y1", "x2", "y2", "class")


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Positions of the columns. `box` are four, or one that holds a list."""

    image: int
    box: tuple[int, ...]
    sides: bool  # the box is corner and sides, not two corners
    label: int | None
    size: tuple[int, int] | None
    fractions: bool = False

    def image_of(self, row: Sequence[str], place: str) -> str:
        """The name of the row's image; a name without a suffix is completed where files are looked for."""
        return _cell(row, self.image) or _missing(place, "the name of an image")

    def label_of(self, row: Sequence[str], place: str) -> str | None:
        """The class; None where the table has none."""
        if self.label is None:
            return None
        return _cell(row, self.label) or _missing(place, "a class")

    def size_of(self, row: Sequence[str]) -> tuple[int | None, int | None]:
        """Width and height of the image in pixels, where the row states them."""
        width, height = (_whole(_cell(row, column)) for column in self.size) if self.size else (None, None)
        return width, height

    def corners_of(self, row: Sequence[str], place: str) -> Corners | None:
        """x1, y1, x2, y2; None where the row has no box."""
        cells = [_cell(row, column) for column in self.box]
        if len(cells) == 1:
            cells = [cell.strip() for cell in cells[0].strip("[]() ").replace(";", ",").split(",")]
        if not any(cells):
            return None
        try:
            x, y, right, bottom = (float(cell) for cell in cells)
        except ValueError as error:
            shown = ", ".join(cells)[:60]
            raise DataError(f"{place}: a box must be four numbers, but is {shown!r}; correct the row") from error
        return (x, y, x + right, y + bottom) if self.sides else (x, y, right, bottom)


def columns_of(head: Sequence[str], file: Path) -> tuple[Columns, bool]:
    """The columns by the first row, and whether that is a header.

    Raises:
        DataError: neither a header that is known, nor a row of RetinaNet.
    """
    names = [cell.strip().casefold().replace(" ", "_") for cell in head]
    columns = _by_header(names)
    if columns is not None:
        return columns, True
    if len(head) == len(RETINANET) and all(not cell or _is_number(cell) for cell in head[1:5]):
        return Columns(image=0, box=(1, 2, 3, 4), sides=False, label=5, size=None), False
    raise DataError(
        f"{file}: the columns {', '.join(map(repr, head[:12]))} are not known; name them filename, class, xmin, ymin, "
        "xmax, ymax, or leave the header out and write path, x1, y1, x2, y2, class"
    )


def _by_header(names: Sequence[str]) -> Columns | None:
    def first(known: Sequence[str]) -> int | None:
        return next((names.index(name) for name in known if name in names), None)

    def all_of(known: Sequence[Sequence[str]]) -> tuple[int, ...] | None:
        return next((tuple(map(names.index, four)) for four in known if set(four) <= set(names)), None)

    image = first(_IMAGE)
    corners, sides, one = all_of(_CORNERS), all_of(_SIDES), first(_ONE_CELL)
    box = corners or sides or (None if one is None else (one,))
    if image is None or box is None:
        return None
    sizes = all_of(_SIZES) if corners or one is not None else None
    size = (sizes[0], sizes[1]) if sizes else None
    open_images = {"imageid", "labelname"} <= set(names)  # its corners are fractions
    return Columns(image=image, box=box, sides=corners is None, label=first(_LABEL), size=size, fractions=open_images)


def _cell(row: Sequence[str], column: int) -> str:
    return row[column] if column < len(row) else ""


def _whole(cell: str) -> int | None:
    """A positive whole number, or None."""
    whole = cell.partition(".")[0]
    return int(whole) or None if whole.isdecimal() and len(whole) < 9 else None


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _missing(place: str, what: str) -> str:
    raise DataError(f"{place}: {what} is missing; complete the row or remove it")
