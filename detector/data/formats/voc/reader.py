"""Reads Pascal VOC XML. Strict on structure; whether boxes and images make sense is checked by `dataset`.

VOC counts pixels from 1 and includes the last one. So `xmin`, `ymin` become `xmin - 1`, `ymin - 1` and `xmax`, `ymax`
stay, as Detectron2 reads it: the box then covers the same pixels, counted from 0. A tool that counts from 0 shifts
its boxes by one pixel that way, which is within the error of drawing.

An object marked `difficult` is treated as a COCO crowd: no training target, ignored in evaluation.
"""

import hashlib
import math
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from detector.data.formats.annotation import AnnotatedBox, AnnotatedImage, Annotations, DataError, Seen
from detector.data.formats.folders import files_in, role_of_name
from detector.data.formats.image_list import is_image
from detector.data.formats.reader import Floats, Reader
from detector.data.formats.voc.layout import LAYOUTS, recognise_voc
from detector.data.formats.voc.split_list import listed_stems
from detector.data.formats.voc.xml_file import number_of, parse_annotation, size_of, text_of
from detector.data_source import DataSource

Corners = tuple[float, float, float, float]

#: Name, message and advice of what may be remarked, by kind.
REMARKS = {
    "suffix": ("annotation-suffix", "annotation files end in .XML or the like; they are read as .xml", "nothing"),
    "bare": (
        "images-without-annotation",
        "images have no XML file, and are left out",
        "write an XML file without objects for each one that shows none, so that the detector learns it",
    ),
    "twice": ("list-doubled", "images are listed more than once; each counts once", "nothing"),
    "rotated": (
        "rotated-boxes",
        "boxes are rotated (robndbox); the upright ones around them are used",
        "look at some of them with `--pictures`: an upright box around a rotated one is larger than the object",
    ),
}

_ROTATED = ("cx", "cy", "w", "h", "angle")


def read_voc(source: DataSource) -> Annotations:
    """The annotations of the XML files that the split lists, or of all; image ids count from 1 in that order.

    Category ids count from 1 in alphabetic order of the names that occur in this split.

    Raises:
        DataError: a file is missing, isn't XML, or breaks a rule of the format.
    """
    seen: defaultdict[str, Seen] = defaultdict(Seen)
    files, pictures = _annotation_files(source.annotations), _pictures_by_stem(source.images)
    digest = hashlib.sha256()
    read: list[Path] = []
    images: list[AnnotatedImage] = []  # whose boxes bear names in place of ids, until all names are known
    for stem in list(files) if source.split is None else listed_stems(source.split, files, seen["twice"]):
        file = files.get(stem) or source.annotations / f"{stem}.xml"
        content = _read(file, root=source.root)
        digest.update(f"{stem}\0{len(content)}\0".encode())
        digest.update(content)
        read.append(file)
        root = parse_annotation(content, file)
        images.append(_image(root, file, image_id=len(read), pictures=pictures, rotated=seen["rotated"]))
    ids = {name: number for number, name in enumerate(_names(images), start=1)}
    for index, image in enumerate(images):  # in place: not twice in memory
        images[index] = replace(
            image, boxes=tuple(replace(b, category_id=ids[str(b.category_id)]) for b in image.boxes)
        )
    _note_files(source, read, images, pictures, seen)
    return Annotations(
        images=tuple(images),
        categories={number: name for name, number in ids.items()},
        digest=digest.hexdigest(),
        remarks=tuple(remark for kind, words in REMARKS.items() for remark in seen[kind].remark(*words)),
    )


def _names(images: Sequence[AnnotatedImage]) -> list[str]:
    """The names of the classes that occur."""
    return sorted({str(box.category_id) for image in images for box in image.boxes})


def _annotation_files(folder: Path) -> dict[str, Path]:
    """By stem, in the order of their stems."""
    if not folder.is_dir():
        raise DataError(f"{folder}: the folder of XML annotations is missing; check the path")
    files = {file.stem: file for file in files_in(folder, ".xml")}
    if not files:
        raise DataError(f"{folder}: holds no .xml file; a VOC dataset has one for each image")
    return dict(sorted(files.items()))


def _note_files(
    source: DataSource,
    files: list[Path],
    images: Sequence[AnnotatedImage],
    pictures: dict[str, list[str]],
    seen: dict[str, Seen],
) -> None:
    """Count odd suffixes, and pictures without an XML file where the folder is of this split alone."""
    for file in files:
        if file.suffix != ".xml":
            seen["suffix"].add(file.name)
    if source.split is not None or (source.annotations != source.images and role_of_name(source.annotations)):
        return
    named = {image.file_name for image in images}
    for names in pictures.values():
        if not named.intersection(names):
            seen["bare"].add(names[0])


def _pictures_by_stem(folder: Path) -> dict[str, list[str]]:
    if not folder.is_dir():
        raise DataError(f"{folder}: the folder of images is missing; check the path")
    pictures: dict[str, list[str]] = {}
    for file in sorted(folder.iterdir()):
        if is_image(file.name):
            pictures.setdefault(file.stem, []).append(file.name)
    return pictures


def _read(file: Path, *, root: Path) -> bytes:
    try:
        if not file.resolve(strict=True).is_relative_to(root.resolve()):
            raise DataError(f"{file}: leads out of the dataset's folder; put the file itself there")
        return file.read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"{file}: the annotation file is missing, but the list of images names it") from error
    except OSError as error:
        raise DataError(f"{file}: the annotation file can't be read: {error}") from error


def _image(
    root: ElementTree.Element,
    file: Path,
    *,
    image_id: int,
    pictures: dict[str, list[str]],
    rotated: Seen,
) -> AnnotatedImage:
    return AnnotatedImage(
        file_name=_file_name(root, file, pictures),
        image_id=image_id,
        width_px=size_of(root, "size/width", file),
        height_px=size_of(root, "size/height", file),
        boxes=tuple(_box(item, file, index, rotated) for index, item in enumerate(root.findall("object"))),
        place=str(file.name),
    )


def _file_name(root: ElementTree.Element, file: Path, pictures: dict[str, list[str]]) -> str:
    """The picture with the stem of the XML file; `<filename>` decides only where that leaves a doubt.

    Tools rename files without touching the XML, so the stem is the more reliable of the two.
    """
    stated = (root.findtext("filename") or "").strip()
    found = pictures.get(file.stem, [])
    if len(found) == 1 or stated in found:
        return found[0] if len(found) == 1 else stated
    if found:
        raise DataError(f"{file}: {', '.join(sorted(found))} all fit; remove all but one, or name it in <filename>")
    return stated or f"{file.stem}.jpg"


def _box(item: ElementTree.Element, file: Path, index: int, rotated: Seen) -> AnnotatedBox:
    category = text_of(item, "name", file)
    if item.find("bndbox") is None and item.find("robndbox") is not None:  # roLabelImg
        corners = _around_rotated(*(number_of(item, f"robndbox/{key}", file, index) for key in _ROTATED))
        rotated.add(f"{file.name}: object {index}")
    else:
        x1, y1, x2, y2 = (number_of(item, f"bndbox/{key}", file, index) for key in ("xmin", "ymin", "xmax", "ymax"))
        corners = (x1 - 1, y1 - 1, x2, y2)
    return AnnotatedBox(
        category_id=sys.intern(category),
        corners=corners,
        crowd=(item.findtext("difficult") or "0").strip() == "1",
        area_px=None,
        name=sys.intern(f"object {index}"),
    )


def _around_rotated(cx: float, cy: float, width: float, height: float, angle: float) -> Corners:
    """The upright box around one that is turned by an angle in radians."""
    cos, sin = abs(math.cos(angle)), abs(math.sin(angle))
    half_x, half_y = (width * cos + height * sin) / 2, (width * sin + height * cos) / 2
    return cx - half_x, cy - half_y, cx + half_x, cy + half_y


def _sizes_as_corners(corners: Floats) -> Floats:
    x1, y1, x2, y2 = corners.T
    return np.stack([x1, y1, x1 + x2, y1 + y2], axis=1)


VOC = Reader(
    read=read_voc,
    recognise=recognise_voc,
    of_file=lambda file: None,  # a file is one image's
    layouts=LAYOUTS,
    box="xmin, ymin, xmax, ymax",
    mistaken={
        "x, y, width, height": _sizes_as_corners,
        "ymin, xmin, ymax, xmax": lambda corners: corners[:, [1, 0, 3, 2]],
    },
)
