"""Boxes lie on their objects in either frame, whatever EXIF says: by the colour under the box."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageOps

from detector.data.dataset import DataError, load_dataset
from detector.data.image_file import read_rgb
from detector.data_source import DataFormat, DataSource, Exif

ORIENTATIONS = range(1, 9)


def _write(folder: Path, suffix: str, orientation: int, frame: Exif, *, sizes: bool = True) -> DataSource:
    """One picture with a red rectangle, annotated in that frame."""
    pixels = np.full((40, 60, 3), 90, dtype=np.uint8)
    pixels[4:16, 6:30] = (230, 20, 20)
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    picture = Pillow.fromarray(pixels)
    picture.save(folder / f"a.{suffix}", exif=exif)
    picture.getexif()[0x0112] = orientation
    seen = np.asarray(ImageOps.exif_transpose(picture) if frame is Exif.UPRIGHT else picture)
    red = np.argwhere(seen[..., 0] > 200)
    (y1, x1), (y2, x2) = red.min(axis=0).tolist(), (red.max(axis=0) + 1).tolist()
    image = {"id": 1, "file_name": f"a.{suffix}"} | ({"width": seen.shape[1], "height": seen.shape[0]} if sizes else {})
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [x1, y1, x2 - x1, y2 - y1]}
    document = {"images": [image], "annotations": [box], "categories": [{"id": 1, "name": "red"}]}
    (folder / "boxes.json").write_text(json.dumps(document))
    return DataSource(format=DataFormat.COCO, images=folder, annotations=folder / "boxes.json", exif=frame)


@pytest.mark.parametrize("frame", list(Exif))
@pytest.mark.parametrize("suffix", ["png", "tif", "jpg"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("sizes", [True, False])
def test_the_object_is_under_its_box(tmp_path: Path, suffix: str, orientation: int, frame: Exif, sizes: bool) -> None:
    dataset = load_dataset(_write(tmp_path, suffix, orientation, frame, sizes=sizes))
    image = dataset.images[0]
    pixels = read_rgb(image.path, height_px=image.height_px, width_px=image.width_px, exif=image.exif)
    y1, x1, y2, x2 = image.boxes[0].astype(int)
    assert pixels[y1:y2, x1:x2].reshape(-1, 3).mean(axis=0) == pytest.approx([230, 20, 20], abs=12)
    assert pixels[..., 0].mean() < 140  # and only there


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
@pytest.mark.parametrize("suffix", ["png", "tif", "jpg"])
def test_boxes_of_the_stored_picture_are_refused_with_the_setting_that_reads_them(
    tmp_path: Path, suffix: str, orientation: int
) -> None:
    source = _write(tmp_path, suffix, orientation, Exif.STORED)
    with pytest.raises(DataError, match="set `exif: stored` in the section `data`"):
        load_dataset(replace(source, exif=Exif.UPRIGHT))


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_boxes_of_the_upright_picture_that_are_read_as_stored_are_refused_with_the_setting(
    tmp_path: Path, orientation: int
) -> None:
    source = _write(tmp_path, "png", orientation, Exif.UPRIGHT)
    with pytest.raises(DataError, match="set `exif: upright` in the section `data`"):
        load_dataset(replace(source, exif=Exif.STORED))


def test_the_two_frames_are_two_datasets(tmp_path: Path) -> None:
    source = _write(tmp_path, "png", 3, Exif.STORED)
    upright = replace(source, exif=Exif.UPRIGHT)
    assert load_dataset(source).fingerprint != load_dataset(upright).fingerprint
