"""Reads Pascal VOC XML. Strict on structure; whether boxes and images make sense is checked by `dataset`.

VOC counts pixels from 1 and includes the last one. So `xmin`, `ymin` become `xmin - 1`, `ymin - 1` and `xmax`, `ymax`
stay, as Detectron2 reads it: the box then covers the same pixels, counted from 0. A tool that counts from 0 shifts
its boxes by one pixel that way, which is within the error of drawing.

An object marked `difficult` is treated as a COCO crowd: no training target, ignored in evaluation.
"""

import hashlib
import os
from pathlib import Path
from typing import NoReturn
from xml.etree import ElementTree

import numpy as np

from detector.data.formats.annotation import AnnotatedBox, AnnotatedImage, Annotations, DataError
from detector.data.formats.reader import Floats, Pair, Reader
from detector.data_source import DataFormat, DataSource

EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".pgm"})

MOST_DIGITS = 18  # of a size


def read_voc(source: DataSource) -> Annotations:
    """The annotations of the XML files that the split lists, or of all; image ids count from 1 in that order.

    Category ids count from 1 in alphabetic order of the names that occur in this split.

    Raises:
        DataError: a file is missing, isn't XML, or breaks a rule of the format.
    """
    if not source.annotations.is_dir():
        raise DataError(f"{source.annotations}: the folder of XML annotations is missing; check the path")
    stems = _all_stems(source.annotations) if source.split is None else _listed_stems(source.split, source.annotations)
    pictures = _pictures_by_stem(source.images)
    digest = hashlib.sha256()
    trees: list[tuple[Path, ElementTree.Element]] = []
    for stem in stems:
        file = source.annotations / f"{stem}.xml"
        content = _read(file, folder=source.annotations)
        digest.update(f"{stem}\0{len(content)}\0".encode())
        digest.update(content)
        trees.append((file, _parse(content, file)))
    names = sorted({_text(item, "name", file) for file, root in trees for item in root.findall("object")})
    ids = {name: number for number, name in enumerate(names, start=1)}
    images = tuple(
        _image(root, file, image_id=number, ids=ids, pictures=pictures)
        for number, (file, root) in enumerate(trees, start=1)
    )
    return Annotations(
        images=images, categories={number: name for name, number in ids.items()}, digest=digest.hexdigest()
    )


def _all_stems(folder: Path) -> list[str]:
    stems = sorted(file.stem for file in folder.iterdir() if file.suffix == ".xml")
    if not stems:
        raise DataError(f"{folder}: holds no .xml file; a VOC dataset has one for each image")
    return stems


def _listed_stems(split: Path, folder: Path) -> list[str]:
    try:
        lines = [line.strip() for line in split.read_text(encoding="utf-8-sig").splitlines()]
    except FileNotFoundError as error:
        raise DataError(f"{split}: the list of images is missing; check the path") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{split}: the list of images can't be read: {error}") from error
    stems = [_stem(line, folder) for line in lines if line]
    if not stems:
        raise DataError(f"{split}: lists no image; write one file name without its extension on each line")
    if len(set(stems)) < len(stems):
        twice = next(stem for stem in stems if stems.count(stem) > 1)
        raise DataError(f"{split}: {twice!r} is listed twice; list every image once")
    return stems


def _stem(line: str, folder: Path) -> str:
    """The name on a line; lists of one class (`cat_train.txt`) carry a flag behind it."""
    if "\0" in line or "/" in line or "\\" in line:
        raise DataError(f"{folder}: {line!r} in the list of images must be a plain file name without a folder")
    name, _, flag = line.rpartition(" ")
    if name and flag in {"1", "0", "-1"} and not os.path.exists(folder / f"{line}.xml"):
        return name.rstrip()
    return line


def _pictures_by_stem(folder: Path) -> dict[str, list[str]]:
    if not folder.is_dir():
        raise DataError(f"{folder}: the folder of images is missing; check the path")
    pictures: dict[str, list[str]] = {}
    for file in folder.iterdir():
        if file.suffix.lower() in EXTENSIONS:
            pictures.setdefault(file.stem, []).append(file.name)
    return pictures


def _read(file: Path, *, folder: Path) -> bytes:
    try:
        if not file.resolve(strict=True).is_relative_to(folder.resolve()):
            raise DataError(f"{file}: leads out of the annotation folder; put the file itself there")
        return file.read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"{file}: the annotation file is missing, but the list of images names it") from error
    except OSError as error:
        raise DataError(f"{file}: the annotation file can't be read: {error}") from error


class _PlainTree(ElementTree.TreeBuilder):
    """Refuses a DOCTYPE, the door to entity expansion."""

    def doctype(self, name: str, public_id: str | None, system: str | None) -> NoReturn:
        raise DataError(f"a DOCTYPE ({name}) is not allowed in VOC annotations; remove it")


def _parse(content: bytes, file: Path) -> ElementTree.Element:
    try:
        root = ElementTree.fromstring(content, parser=ElementTree.XMLParser(target=_PlainTree()))
    except DataError as error:
        raise DataError(f"{file}: {error}") from error
    except ElementTree.ParseError as error:
        line, column = error.position
        raise DataError(f"{file}: not valid XML at line {line}, column {column}: {error}; export it again") from error
    except (ValueError, LookupError) as error:  # an unknown encoding
        raise DataError(f"{file}: not valid XML: {error}; export it again as UTF-8") from error
    if root.tag != "annotation":
        raise DataError(f"{file}: the outermost element must be <annotation>, but is <{root.tag[:60]}>")
    return root


def _image(
    root: ElementTree.Element, file: Path, *, image_id: int, ids: dict[str, int], pictures: dict[str, list[str]]
) -> AnnotatedImage:
    return AnnotatedImage(
        file_name=_file_name(root, file, pictures),
        image_id=image_id,
        width_px=_size(root, "size/width", file),
        height_px=_size(root, "size/height", file),
        boxes=tuple(_box(item, file, index, ids) for index, item in enumerate(root.findall("object"))),
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


def _box(item: ElementTree.Element, file: Path, index: int, ids: dict[str, int]) -> AnnotatedBox:
    x1, y1, x2, y2 = (_number(item, f"bndbox/{key}", file, index) for key in ("xmin", "ymin", "xmax", "ymax"))
    return AnnotatedBox(
        category_id=ids[_text(item, "name", file)],
        corners=(x1 - 1, y1 - 1, x2, y2),
        crowd=(item.findtext("difficult") or "0").strip() == "1",
        area_px=None,
        name=f"object {index}",
    )


def _number(item: ElementTree.Element, path: str, file: Path, index: int) -> float:
    text = item.findtext(path)
    try:
        return float(text or "")
    except ValueError as error:
        found = "is missing" if text is None else f"is {text[:60]!r}"
        raise DataError(f"{file}: object {index}: {path} must be a number of pixels, but {found}") from error


def _size(root: ElementTree.Element, path: str, file: Path) -> int | None:
    text = root.findtext(path)
    if text is None or text.strip() == "0":  # some tools write 0 for unknown
        return None
    if not text.strip().isdecimal() or len(text.strip()) > MOST_DIGITS:
        raise DataError(f"{file}: {path} must be a whole number of pixels, but is {text[:60]!r}")
    return int(text)


def _text(item: ElementTree.Element, path: str, file: Path) -> str:
    text = (item.findtext(path) or "").strip()
    if not text:
        raise DataError(f"{file}: every object needs a {path}, but one has none")
    return text


def _recognise(folder: Path) -> Pair | None:
    annotations, images = folder / "Annotations", folder / "JPEGImages"
    if not annotations.is_dir() or not images.is_dir():
        return None

    def source(split: Path | None) -> DataSource:
        return DataSource(format=DataFormat.VOC, images=images, annotations=annotations, split=split)

    lists = {name: folder / "ImageSets" / "Main" / f"{name}.txt" for name in ("train", "val", "trainval")}
    if lists["train"].is_file():
        return source(lists["train"]), source(lists["val"]) if lists["val"].is_file() else None
    return source(lists["trainval"] if lists["trainval"].is_file() else None), None


def _sizes_as_corners(corners: Floats) -> Floats:
    x1, y1, x2, y2 = corners.T
    return np.stack([x1, y1, x1 + x2, y1 + y2], axis=1)


VOC = Reader(
    read=read_voc,
    recognise=_recognise,
    layouts=("Annotations/, JPEGImages/ and ImageSets/Main/train.txt (Pascal VOC)",),
    box="xmin, ymin, xmax, ymax",
    mistaken={
        "x, y, width, height": _sizes_as_corners,
        "ymin, xmin, ymax, xmax": lambda corners: corners[:, [1, 0, 3, 2]],
    },
)
