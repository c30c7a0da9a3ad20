"""How long the doctor takes on 10,000 and 100,000 images, how much memory a box costs, and a COCO file of 1 GB.

    python -m benchmarks.doctor_scale [--images 10000 --images 100000] [--gigabytes 1.0]

The data is generated: pictures of 64 × 48 px with 8 boxes each, as COCO, Pascal VOC and YOLO; and one annotation file
that is mostly outlines, as COCO's are. The doctor runs as a process of its own, whose peak memory is the kernel's
figure.
"""

import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any, TypeVar
from xml.sax.saxutils import escape

import numpy as np
import typer
from PIL import Image as Pillow

from benchmarks.parts.table import Cell, Table, drawing, wide_console

T = TypeVar("T")
WIDTH_PX, HEIGHT_PX, BOXES = 64, 48, 8
CLASSES = ("disc", "square", "triangle")
LINKS = 30_000  # of one file: file systems allow few more


def pictures(folder: Path, count: int) -> None:
    """That many small pictures, all different."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for number in range(count):
        pixels = random.integers(0, 255, (HEIGHT_PX, WIDTH_PX, 3), dtype=np.uint8)
        Pillow.fromarray(pixels).save(folder / f"{number:06d}.jpg", quality=50)


def boxes(count: int) -> Iterator[tuple[int, int, int, int, int, int]]:
    """Image, class, x, y, width and height of each box."""
    random = np.random.default_rng(1)
    for image in range(count):
        for x, y, side, label in zip(*random.integers(0, (40, 30, 12, 3), (BOXES, 4)).T, strict=True):
            yield image, int(label), int(x), int(y), 8 + int(side), 6 + int(side) // 2


def write_coco(folder: Path, count: int) -> None:
    """images/ and train.json."""
    pictures(folder / "images", count)
    document = {
        "images": [
            {"id": n, "file_name": f"{n:06d}.jpg", "width": WIDTH_PX, "height": HEIGHT_PX} for n in range(count)
        ],
        "categories": [{"id": number, "name": name} for number, name in enumerate(CLASSES)],
        "annotations": [
            {"id": number, "image_id": image, "category_id": label, "bbox": [x, y, w, h], "iscrowd": 0}
            for number, (image, label, x, y, w, h) in enumerate(boxes(count))
        ],
    }
    (folder / "train.json").write_text(json.dumps(document))


def write_voc(folder: Path, count: int) -> None:
    """JPEGImages/ and Annotations/, an XML file for each image."""
    pictures(folder / "JPEGImages", count)
    (folder / "Annotations").mkdir()
    objects: dict[int, list[str]] = {number: [] for number in range(count)}
    for image, label, x, y, w, h in boxes(count):
        corners = f"<xmin>{x + 1}</xmin><ymin>{y + 1}</ymin><xmax>{x + w}</xmax><ymax>{y + h}</ymax>"
        objects[image].append(f"<object><name>{escape(CLASSES[label])}</name><bndbox>{corners}</bndbox></object>")
    size = f"<size><width>{WIDTH_PX}</width><height>{HEIGHT_PX}</height><depth>3</depth></size>"
    for image, found in objects.items():
        text = f"<annotation><filename>{image:06d}.jpg</filename>{size}{''.join(found)}</annotation>"
        (folder / "Annotations" / f"{image:06d}.xml").write_text(text)


def write_yolo(folder: Path, count: int) -> None:
    """images/, labels/ with a text file for each image, and data.yaml."""
    pictures(folder / "images", count)
    (folder / "labels").mkdir()
    rows: dict[int, list[str]] = {number: [] for number in range(count)}
    for image, label, x, y, w, h in boxes(count):
        numbers = ((x + w / 2) / WIDTH_PX, (y + h / 2) / HEIGHT_PX, w / WIDTH_PX, h / HEIGHT_PX)
        rows[image].append(f"{label} {' '.join(f'{number:.6f}' for number in numbers)}")
    for image, lines in rows.items():
        (folder / "labels" / f"{image:06d}.txt").write_text("\n".join(lines))
    (folder / "data.yaml").write_text(f"train: images\nnames: {list(CLASSES)}\n")


#: Writes the data, and what of it is named in the study file: annotations and images.
FORMATS = {
    "COCO": (write_coco, "train.json", "images"),
    "VOC": (write_voc, "Annotations", "JPEGImages"),
    "YOLO": (write_yolo, "data.yaml", "images"),
}


def write_outlines(folder: Path, size_bytes: int) -> int:
    """An annotation file of that size, and pictures that are links to a few; how many boxes it has."""
    images = max(1, size_bytes // 8_400)
    (folder / "images").mkdir(parents=True)
    for number in range(images):
        picture = folder / "images" / f"{number:06d}.jpg"
        if number % LINKS == 0:
            noise = np.random.default_rng(number).integers(0, 255, (480, 640, 3), dtype=np.uint8)
            Pillow.fromarray(noise).save(picture, quality=5)
            original = picture
        else:
            os.link(original, picture)
    random, written, number = np.random.default_rng(2), 0, 0
    with (folder / "train.json").open("w") as file:
        rows = ({"id": n, "file_name": f"{n:06d}.jpg", "width": 640, "height": 480} for n in range(images))
        file.write(f'{{"images": [{",".join(map(json.dumps, rows))}], "annotations": [')
        while written < size_bytes:
            x, y, width, height, image, label = map(int, random.integers(10, (400, 300, 200, 150, images + 10, 80)))
            outline = [[round(value, 2) for value in random.uniform(0, 600, 2 * int(random.integers(8, 40))).tolist()]]
            row: dict[str, Any] = {"id": number, "image_id": image - 10, "category_id": label, "segmentation": outline}
            row |= {"bbox": [x, y, width, height], "area": 0.6 * width * height, "iscrowd": 0}
            written += file.write(("," if number else "") + json.dumps(row))
            number += 1
        names = [{"id": label, "name": f"class {label}"} for label in range(10, 80)]
        file.write(f'], "categories": {json.dumps(names)}}}')
    return number


def examined(folder: Path, annotations: str, images: str) -> tuple[float, float, float]:
    """Seconds, processor seconds and peak MiB of a doctor on the folder."""
    file = folder / "study.yaml"
    data = f"{{train: {{images: {images}, annotations: {annotations}}}}}"
    file.write_text(f"name: scale\nstorage: sqlite:///study.db\ndata: {data}\n")
    began_s = time.perf_counter()
    command = [sys.executable, "-c", "from search.command_line import main; main()", "doctor", str(file), "--json"]
    with (folder / "doctor.json").open("w") as out:
        process = subprocess.Popen(command, stdout=out)
        _, status, usage = os.wait4(process.pid, 0)
    if not (folder / "doctor.json").stat().st_size:
        raise RuntimeError(f"the doctor said nothing and ended with {status}")
    return time.perf_counter() - began_s, usage.ru_utime + usage.ru_stime, _mib(usage)


def _elsewhere(write: Callable[[Path, int], T], folder: Path, size: int) -> T:
    """What it returns, done by another process: the kernel counts our own memory for what we start."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(write, folder, size).result()


def _mib(usage: resource.struct_rusage) -> float:
    return usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def main(
    images: Annotated[list[int] | None, typer.Option(help="Repeatable, ascending.")] = None,
    gigabytes: Annotated[float, typer.Option(help="Size of the large file; 0 leaves it out.")] = 1.0,
) -> None:
    """Generate, examine, and show the table."""
    rows: list[tuple[Cell, ...]] = []
    for name, (write, annotations, pictures_in) in FORMATS.items():
        smaller: tuple[int, float] | None = None
        for count in images or [10_000, 100_000]:
            with tempfile.TemporaryDirectory() as folder:
                _elsewhere(write, Path(folder) / "data", count)
                seconds, cpu_s, peak_mib = examined(Path(folder) / "data", annotations, pictures_in)
            more = (peak_mib - smaller[1]) * 2**20 / (count * BOXES - smaller[0]) if smaller else math.nan
            rows.append((f"{name}, {count} images", count * BOXES, seconds, cpu_s, peak_mib, more))
            smaller = smaller or (count * BOXES, peak_mib)
    if gigabytes:
        with tempfile.TemporaryDirectory() as folder:
            count = _elsewhere(write_outlines, Path(folder) / "data", int(gigabytes * 1e9))
            figures = examined(Path(folder) / "data", "train.json", "images")
        rows.append((f"COCO, {gigabytes:g} GB", count, *figures, math.nan))
    columns = ("data", "boxes", "seconds", "processor seconds", "peak MiB", "bytes a box more")
    wide_console().print(drawing(Table(caption="frcnn-search doctor", columns=columns, rows=tuple(rows))))


if __name__ == "__main__":
    typer.run(main)
