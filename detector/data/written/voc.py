"""Writes Pascal VOC: Annotations, ImageSets/Main/{train,val}.txt and JPEGImages, all without folders inside.

VOC counts from 1 and includes the last pixel; a crowd is marked difficult.
"""

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from detector.data.dataset import Image
from detector.data.written.split import WrittenSplit, corners_of, flat_names


def write(output: Path, splits: Sequence[WrittenSplit]) -> list[list[Path]]:
    """The XML files and lists; returns where each image of each split belongs."""
    for folder in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (output / folder).mkdir(parents=True)
    every = flat_names([image.name for split in splits for image in split.dataset.images])
    places = []
    for split in splits:
        names, every = every[: len(split.dataset.images)], every[len(split.dataset.images) :]
        stems = [Path(name).stem for name in names]
        (output / "ImageSets" / "Main" / f"{split.name}.txt").write_text("\n".join(stems) + "\n", encoding="utf-8")
        for image, name, stem in zip(split.dataset.images, names, stems, strict=True):
            tree = ElementTree.ElementTree(_annotation(image, name, split.dataset.classes))
            tree.write(output / "Annotations" / f"{stem}.xml", encoding="utf-8")
        places.append([output / "JPEGImages" / name for name in names])
    return places


def _annotation(image: Image, name: str, classes: Sequence[str]) -> ElementTree.Element:
    root = ElementTree.Element("annotation")
    _add(root, "filename", name)
    size = ElementTree.SubElement(root, "size")
    for key, value in (("width", image.width_px), ("height", image.height_px), ("depth", 3)):
        _add(size, key, str(value))
    for (x1, y1, x2, y2), label, crowd in zip(
        corners_of(image), image.labels.tolist(), image.crowd.tolist(), strict=True
    ):
        item = ElementTree.SubElement(root, "object")
        _add(item, "name", classes[label])
        _add(item, "difficult", str(int(crowd)))
        box = ElementTree.SubElement(item, "bndbox")
        for key, corner in (("xmin", x1 + 1), ("ymin", y1 + 1), ("xmax", x2), ("ymax", y2)):
            _add(box, key, f"{corner:.6g}" if corner < 1e5 else str(corner))
    return root


def _add(parent: ElementTree.Element, key: str, text: str) -> None:
    ElementTree.SubElement(parent, key).text = text
