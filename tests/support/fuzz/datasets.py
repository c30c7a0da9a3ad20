"""Annotations and images."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow

from detector.data import image_cache
from detector.data.dataset import load_dataset
from detector.data.image_file import read_header, read_rgb
from detector.data.layout import find_sources
from detector.data.sample_data import write_sample
from detector.data_source import DataFormat, DataSource
from tests.support.fuzz.target import Target, written


def _coco_seeds(folder: Path) -> list[bytes]:
    write_sample(folder, train=3, validation=1)
    document = json.loads((folder / "train.json").read_text())
    document["annotations"][0] |= {"iscrowd": 1, "segmentation": [[1, 2, 3, 4]], "area": 12.5}
    return [json.dumps(document).encode(), (folder / "val.json").read_bytes()]


def _read_coco(content: bytes, folder: Path) -> None:
    file = written(folder / "train.json", content)
    find_sources(folder)
    load_dataset(DataSource(format=DataFormat.COCO, images=folder / "images", annotations=file))


_XML = """<annotation><filename>{0}.png</filename><size><width>40</width><height>30</height></size>
<object><name>cat</name><difficult>0</difficult>
<bndbox><xmin>2</xmin><ymin>3</ymin><xmax>20</xmax><ymax>25</ymax></bndbox></object>
<object><name>dog</name><bndbox><xmin>5</xmin><ymin>5</ymin><xmax>39.5</xmax><ymax>29</ymax></bndbox></object>
</annotation>"""


def _voc_seeds(folder: Path) -> list[bytes]:
    for name in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (folder / name).mkdir(parents=True)
    for stem in ("a", "b"):
        (folder / "JPEGImages" / f"{stem}.png").write_bytes(_image("PNG", "RGB"))
        (folder / "Annotations" / f"{stem}.xml").write_text(_XML.format(stem))
    return [
        _XML.format("a").encode(),
        b'<?xml version="1.0" encoding="utf-8"?>' + _XML.format("b").encode(),
        b"a\nb 1\n",
    ]


def _read_voc(content: bytes, folder: Path) -> None:
    is_list = b"<" not in content[:100]
    written(folder / "ImageSets" / "Main" / "train.txt", content if is_list else b"a\nb\n")
    written(folder / "Annotations" / "a.xml", _XML.format("a").encode() if is_list else content)
    load_dataset(find_sources(folder)[0])


def _yolo_seeds(folder: Path) -> list[bytes]:
    for name in ("images", "labels"):
        (folder / name).mkdir()
    for stem in ("a", "b"):
        (folder / "images" / f"{stem}.png").write_bytes(_image("PNG", "RGB"))
        (folder / "labels" / f"{stem}.txt").write_text("1 0.5 0.5 0.2 0.25\n")
    labels = b"0 0.5 0.5 0.2 0.25\n1 0.1 0.1 0.4 0.1 0.4 0.6 0.1 0.6\n"
    return [labels, b"path: .\ntrain: images\nnames: [cat, dog]\n", b"train: images\nnames: {0: cat, 1: dog}\nnc: 2\n"]


def _read_yolo(content: bytes, folder: Path) -> None:
    is_names = b"names" in content or b":" in content
    written(folder / "data.yaml", content if is_names else b"train: images\nnames: [cat, dog]\n")
    written(folder / "labels" / "a.txt", b"1 0.5 0.5 0.2 0.25\n" if is_names else content)
    load_dataset(find_sources(folder)[0])


def _csv_seeds(folder: Path) -> list[bytes]:
    (folder / "images").mkdir()
    for stem in ("a", "b"):
        (folder / "images" / f"{stem}.png").write_bytes(_image("PNG", "RGB"))
    return [
        b"filename,width,height,class,xmin,ymin,xmax,ymax\na.png,40,30,cat,1,2,20,25\nb.png,40,30,dog,3,4,10,12\n",
        b"images/a.png,1,2,20,25,cat\nimages/b.png,,,,,\n",
        b'image_id,bbox\na,"[1, 2, 19, 20]"\n',
    ]


def _read_csv(content: bytes, folder: Path) -> None:
    file = written(folder / "train.csv", content)
    load_dataset(DataSource(format=DataFormat.CSV, images=folder / "images", annotations=file))


def _image(file_format: str, mode: str, **options: Any) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 255, (30, 40, 4), dtype=np.uint8)
    stream = io.BytesIO()
    Pillow.fromarray(pixels).convert("RGB").convert(mode).save(stream, format=file_format, **options)
    return stream.getvalue()


def _image_seeds(_: Path) -> list[bytes]:
    turned = Pillow.Exif()
    turned[0x0112] = 6
    plain = [_image(name, "RGB") for name in ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF", "PPM")]
    modes = [_image("PNG", mode) for mode in ("L", "P", "RGBA", "I;16", "1")] + [_image("TIFF", mode) for mode in "IF"]
    packed = [_image("TIFF", "RGB", compression=name) for name in ("tiff_lzw", "tiff_deflate", "packbits", "jpeg")]
    return [*plain, *modes, *packed, _image("JPEG", "CMYK"), _image("JPEG", "RGB", exif=turned, progressive=True)]


def _read_image(content: bytes, folder: Path) -> None:
    file = written(folder / "image", content)
    read_header(file)
    read_rgb(file, height_px=32, width_px=32)


PIXELS = (2, 8, 8, 3)


def _pixels_seeds(folder: Path) -> list[bytes]:
    np.save(folder / "pixels.npy", np.zeros(PIXELS, np.uint8))
    return [(folder / "pixels.npy").read_bytes()]


def _read_pixels(content: bytes, folder: Path) -> None:
    whole = image_cache._mapped(written(folder / "pixels.npy", content), PIXELS)
    assert whole is None or whole.shape == PIXELS


TARGETS = (
    Target(name="coco", seeds=_coco_seeds, read=_read_coco),
    Target(name="voc", seeds=_voc_seeds, read=_read_voc),
    Target(name="yolo", seeds=_yolo_seeds, read=_read_yolo),
    Target(name="csv", seeds=_csv_seeds, read=_read_csv),
    Target(name="image", seeds=_image_seeds, read=_read_image),
    Target(name="pixels", seeds=_pixels_seeds, read=_read_pixels, refusals=()),
)
