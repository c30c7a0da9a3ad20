"""One planted dataset in every layout that a tool leaves: ten images for training, four for validation, two boxes each.

A layout is a function that fills a folder. Those without a split of their own hold the training images alone.
"""

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
from PIL import Image as Pillow

WIDTH_PX, HEIGHT_PX = 128, 96
CLASSES = ("cat", "dog")
COUNTS = {"train": 10, "val": 4}
Corners = tuple[int, int, int, int]  # x1, y1, x2, y2


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """One image and its objects: a cat, then a dog."""

    stem: str
    boxes: tuple[Corners, Corners]

    @property
    def name(self) -> str:
        return f"{self.stem}.jpg"


def planted(split: str) -> list[Planted]:
    """The images of a split."""
    random = np.random.default_rng(3 if split == "train" else 4)
    found = []
    for number in range(COUNTS[split]):
        x, y, w, h, y2, w2, h2 = (
            int(v) for v in random.integers([2, 2, 16, 16, 2, 16, 16], [40, 30, 40, 40, 30, 40, 40])
        )
        boxes = ((x, y, x + w, y + h), (84, y2, 84 + w2, y2 + h2))
        found.append(Planted(stem=f"{split}{number:02d}", boxes=boxes))
    return found


def pictures(folder: Path, split: str) -> list[Planted]:
    """Write the split's images, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, image in enumerate(planted(split)):
        pixels = np.random.default_rng(seed + 100 * len(split)).integers(90, 130, (HEIGHT_PX, WIDTH_PX, 3), np.uint8)
        Pillow.fromarray(pixels).save(folder / image.name, quality=90)
    return planted(split)


def _text(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def _coco(file: Path, images: Sequence[Planted], name: Callable[[str], str] = str) -> None:
    entries = [
        {"id": n, "file_name": name(image.name), "width": WIDTH_PX, "height": HEIGHT_PX}
        for n, image in enumerate(images, start=1)
    ]
    boxes = [
        {"image_id": n, "category_id": label, "bbox": [x1, y1, x2 - x1, y2 - y1], "iscrowd": 0}
        for n, image in enumerate(images, start=1)
        for label, (x1, y1, x2, y2) in enumerate(image.boxes, start=1)
    ]
    categories = [{"id": n, "name": name} for n, name in enumerate(CLASSES, start=1)]
    annotations = [{"id": n, **box} for n, box in enumerate(boxes, start=1)]
    _text(file, json.dumps({"images": entries, "annotations": annotations, "categories": categories}))


def _xml(folder: Path, images: Sequence[Planted]) -> None:
    size = f"<size><width>{WIDTH_PX}</width><height>{HEIGHT_PX}</height><depth>3</depth></size>"
    for image in images:
        objects = "".join(
            f"<object><name>{escape(name)}</name><bndbox><xmin>{x1 + 1}</xmin><ymin>{y1 + 1}</ymin>"
            f"<xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"  # VOC counts from 1, both ends within
            for name, (x1, y1, x2, y2) in zip(CLASSES, image.boxes, strict=True)
        )
        text = f"<annotation><filename>{image.name}</filename>{size}{objects}</annotation>"
        _text(folder / f"{image.stem}.xml", text)


def _labels(folder: Path, images: Sequence[Planted]) -> None:
    for image in images:
        rows = (
            f"{label} {(x1 + x2) / 2 / WIDTH_PX} {(y1 + y2) / 2 / HEIGHT_PX} {(x2 - x1) / WIDTH_PX} "
            f"{(y2 - y1) / HEIGHT_PX}"
            for label, (x1, y1, x2, y2) in enumerate(image.boxes)
        )
        _text(folder / f"{image.stem}.txt", "\n".join(rows) + "\n")


def _table(file: Path, images: Sequence[Planted], head: Sequence[str], *, size: bool = False) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="") as opened:
        rows = csv.writer(opened)
        if head:
            rows.writerow(head)
        for image in images:
            for name, box in zip(CLASSES, image.boxes, strict=True):
                rows.writerow([image.name, WIDTH_PX, HEIGHT_PX, name, *box] if size else [image.name, *box, name])


def _records(file: Path, folder: Path, images: Sequence[Planted]) -> None:
    import tensorflow as tf

    def feature(values: list[Any]) -> Any:
        if isinstance(values[0], bytes):
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))

    file.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(file)) as writer:
        for image in images:
            sides = zip(("xmin", "ymin", "xmax", "ymax"), zip(*image.boxes, strict=True), strict=True)
            extents = (WIDTH_PX, HEIGHT_PX, WIDTH_PX, HEIGHT_PX)
            values: dict[str, list[Any]] = {
                f"image/object/bbox/{key}": [value / extent for value in found]
                for (key, found), extent in zip(sides, extents, strict=True)
            }
            values |= {
                "image/encoded": [(folder / image.name).read_bytes()],
                "image/filename": [image.name.encode()],
                "image/object/class/text": [name.encode() for name in CLASSES],
            }
            features = tf.train.Features(feature={key: feature(found) for key, found in values.items()})
            writer.write(tf.train.Example(features=features).SerializeToString())


def cvat(f: Path) -> None:
    _coco(f / "annotations" / "instances_default.json", pictures(f / "images" / "default", "train"))


def cvat_subsets(f: Path) -> None:
    for split, name in (("train", "Train"), ("val", "Validation")):
        _coco(f / "annotations" / f"instances_{name}.json", pictures(f / "images" / name, split))


def via(f: Path) -> None:
    _coco(f / "via_project_5Jan2024_11h43m_coco.json", pictures(f, "train"))


def labelme2coco(f: Path) -> None:
    _coco(f / "annotations.json", pictures(f / "JPEGImages", "train"), lambda name: f"JPEGImages/{name}")


def fiftyone(f: Path) -> None:
    _coco(f / "labels.json", pictures(f / "data", "train"))


def label_studio(f: Path) -> None:
    _coco(f / "result.json", pictures(f / "images", "train"), lambda name: f"images\\{name}")


def coco_in_split_folders(f: Path) -> None:
    for split in COUNTS:
        _coco(f / split / "_annotations.json", pictures(f / split, split))


def roboflow_coco(f: Path) -> None:
    for split, name in (("train", "train"), ("val", "valid")):
        _coco(f / name / "_annotations.coco.json", pictures(f / name, split))


def coco_2017(f: Path) -> None:
    for split in COUNTS:
        _coco(f / "annotations" / f"instances_{split}2017.json", pictures(f / f"{split}2017", split))
        _text(f / "annotations" / f"person_keypoints_{split}2017.json", '{"images": []}')


def coco_names_at_the_top(f: Path) -> None:
    for split in COUNTS:
        _coco(f / f"{split}.json", pictures(f / "images", split))


def voc_kaggle(f: Path) -> None:
    _xml(f / "annotations", pictures(f / "images", "train"))


def voc_annots(f: Path) -> None:
    _xml(f / "annots", pictures(f / "images", "train"))


def voc_label_studio(f: Path) -> None:
    _xml(f / "Annotations", pictures(f / "images", "train"))


def voc_fiftyone(f: Path) -> None:
    _xml(f / "labels", pictures(f / "data", "train"))


def voc_cvat(f: Path) -> None:
    images = pictures(f / "JPEGImages", "train")
    _xml(f / "Annotations", images)
    _text(f / "ImageSets" / "Main" / "default.txt", "".join(f"{image.stem}\n" for image in images))
    _text(f / "labelmap.txt", "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncat:250,50,83::\n")


def voc_beside(f: Path) -> None:
    _xml(f, pictures(f, "train"))


def voc_roboflow(f: Path) -> None:
    for split, name in (("train", "train"), ("val", "valid")):
        _xml(f / name, pictures(f / name, split))


def voc_devkit(f: Path) -> None:
    voc_lists(f / "VOCdevkit" / "VOC2007")


def voc_lists(f: Path) -> None:
    for split in COUNTS:
        images = pictures(f / "JPEGImages", split)
        _xml(f / "Annotations", images)
        _text(f / "ImageSets" / "Main" / f"{split}.txt", "".join(f"{image.stem}\n" for image in images))


def yolo_ultralytics(f: Path) -> None:
    for split in COUNTS:
        _labels(f / "labels" / split, pictures(f / "images" / split, split))
    _text(f / "data.yaml", "path: ../datasets/x\ntrain: images/train\nval: images/val\nnames: {0: cat, 1: dog}\n")


def yolo_fiftyone(f: Path) -> None:
    for split in COUNTS:
        _labels(f / "labels" / split, pictures(f / "images" / split, split))
    _text(
        f / "dataset.yaml",
        "names:\n  0: cat\n  1: dog\npath: /home/x/export\ntrain: ./images/train/\nval: ./images/val/\n",
    )


def yolo_cvat(f: Path) -> None:
    images = pictures(f / "images" / "train", "train")
    _labels(f / "labels" / "train", images)
    _text(f / "train.txt", "".join(f"data/images/train/{image.name}\n" for image in images))
    _text(f / "data.yaml", "names:\n  0: cat\n  1: dog\npath: .\ntrain: train.txt\n")


def yolo_roboflow(f: Path) -> None:
    for split, name in (("train", "train"), ("val", "valid")):
        _labels(f / name / "labels", pictures(f / name / "images", split))
    _text(f / "data.yaml", "train: ../train/images\nval: ../valid/images\nnc: 2\nnames: [cat, dog]\n")


def yolo_label_studio(f: Path) -> None:
    _labels(f / "labels", pictures(f / "images", "train"))
    _text(f / "classes.txt", "cat\ndog\n")


def yolo_label_img(f: Path) -> None:
    _labels(f, pictures(f, "train"))
    _text(f / "classes.txt", "cat\ndog\n")


def yolo_darknet_lists(f: Path) -> None:
    for split in COUNTS:
        images = pictures(f / "obj", split)
        _labels(f / "obj", images)
        _text(f / f"{split}.txt", "".join(f"obj/{image.name}\n" for image in images))
    _text(f / "data.yaml", "train: train.txt\nval: val.txt\nnames: [cat, dog]\n")


def csv_tensorflow(f: Path) -> None:
    head = ("filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax")
    for split in COUNTS:
        _table(f / f"{split}_labels.csv", pictures(f / "images", split), head, size=True)


def csv_retinanet(f: Path) -> None:
    _table(f / "annotations.csv", pictures(f / "images", "train"), ())


def csv_roboflow(f: Path) -> None:
    head = ("filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax")
    for split, name in (("train", "train"), ("val", "valid")):
        _table(f / name / "_annotations.csv", pictures(f / name, split), head, size=True)


def tfrecord_roboflow(f: Path) -> None:
    for split, name in (("train", "train"), ("val", "valid")):
        folder = f.parent / "pictures" / split
        _records(f / name / "cells.tfrecord", folder, pictures(folder, split))


def tfrecord_object_detection(f: Path) -> None:
    for split in COUNTS:
        folder = f.parent / "pictures" / split
        _records(f / f"{split}.record", folder, pictures(folder, split))


LAYOUTS: tuple[Callable[[Path], None], ...] = (
    cvat, cvat_subsets, via, labelme2coco, fiftyone, label_studio, coco_in_split_folders, roboflow_coco, coco_2017,
    coco_names_at_the_top, voc_kaggle, voc_annots, voc_label_studio, voc_fiftyone, voc_cvat, voc_beside, voc_roboflow,
    voc_devkit, voc_lists, yolo_ultralytics, yolo_fiftyone, yolo_cvat, yolo_roboflow, yolo_label_studio, yolo_label_img,
    yolo_darknet_lists, csv_tensorflow, csv_retinanet, csv_roboflow,
)  # fmt: skip
RECORD_LAYOUTS = (tfrecord_roboflow, tfrecord_object_detection)
