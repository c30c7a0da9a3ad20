import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from detector.config import Canvas
from detector.data.dataset import DataError, load_dataset
from detector.data.image_cache import letterbox, open_cache
from detector.data.image_file import PADDING_RGB, read_rgb

CANVAS = Canvas(height_px=64, width_px=64)
ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("size_px", "canvas", "scale", "extent"),
    [
        # width 60, height 40 on 64 × 64: min(64 / 40, 64 / 60) = 64 / 60; 40 × 64 / 60 = 42.67
        pytest.param((60, 40), (64, 64), 64 / 60, (40 * 64 / 60, 64), id="width decides, enlarged"),
        pytest.param((640, 480), (96, 128), 0.2, (96, 128), id="same aspect"),
        # min(96 / 400, 128 / 100) = 0.24; 100 × 0.24 = 24
        pytest.param((100, 400), (96, 128), 0.24, (96, 24), id="height decides"),
    ],
)
def test_an_image_is_scaled_to_fit(
    coco: Any,
    picture: Callable[..., None],
    size_px: tuple[int, int],
    canvas: tuple[int, int],
    scale: float,
    extent: tuple[float, float],
) -> None:
    picture(coco.root / "images" / "a.png", width_px=size_px[0], height_px=size_px[1])
    del coco.document["images"][0]["width"], coco.document["images"][0]["height"]
    image = load_dataset(coco.write()).images[0]
    found = letterbox(image, Canvas(height_px=canvas[0], width_px=canvas[1]))
    assert found[0] == pytest.approx(scale)
    assert found[1] == pytest.approx(extent)


def test_pixels_lie_at_the_upper_left_and_the_rest_is_padding(coco: Any, tmp_path: Path) -> None:
    dataset = load_dataset(coco.source)
    cache = open_cache(dataset, CANVAS, tmp_path / "cache")
    assert cache.pixels.shape == (3, 64, 64, 3)
    assert cache.pixels.dtype == np.uint8
    assert cache.scales == pytest.approx([64 / 60] * 3)
    assert cache.extents == pytest.approx(np.array([[40 * 64 / 60, 64]] * 3))
    for pixels, image in zip(cache.pixels, dataset.images, strict=True):
        assert np.array_equal(pixels[:43], read_rgb(image.path, height_px=43, width_px=64))  # round(42.67)
        assert (pixels[43:] == PADDING_RGB).all()


def test_boxes_stay_on_their_object(coco: Any, tmp_path: Path) -> None:
    y1, x1, y2, x2 = 5, 10, 35, 30  # of the first annotation
    pixels = np.zeros((40, 60, 3), dtype=np.uint8)
    pixels[y1:y2, x1:x2] = 255
    Pillow.fromarray(pixels).save(coco.root / "images" / "a.png")
    dataset = load_dataset(coco.source)
    cache = open_cache(dataset, Canvas(height_px=128, width_px=192), tmp_path / "cache")
    bright = np.argwhere(cache.pixels[0][..., 0] > 127)
    found = [*bright.min(axis=0), *(bright.max(axis=0) + 1)]
    expected = dataset.images[0].boxes[0] * cache.scales[0]
    assert np.abs(np.array(found) - expected).max() <= 1.0


def _built(dataset: Any, folder: Path, canvas: Canvas = CANVAS) -> bool:
    calls: list[tuple[int, int]] = []
    open_cache(dataset, canvas, folder, progress=lambda done, total: calls.append((done, total)))
    assert calls in ([], [(3, 3)])
    return bool(calls)


def test_the_cache_is_built_anew_when_a_file_changes_and_only_then(
    coco: Any, picture: Callable[..., None], tmp_path: Path
) -> None:
    folder = tmp_path / "cache"
    assert _built(load_dataset(coco.source), folder)
    assert not _built(load_dataset(coco.source), folder)
    (coco.root / "images" / "b.png").touch()
    assert not _built(load_dataset(coco.source), folder)
    assert _built(load_dataset(coco.source), folder, Canvas(height_px=32, width_px=64))
    picture(coco.root / "images" / "b.png", seed=50)
    assert _built(load_dataset(coco.source), folder)
    assert not _built(load_dataset(coco.source), folder)


@pytest.mark.parametrize("keep", [0, 5, 60, 200, 1000])
def test_a_cut_cache_file_is_built_anew(coco: Any, tmp_path: Path, keep: int) -> None:
    dataset, folder = load_dataset(coco.source), tmp_path / "cache"
    before = np.array(open_cache(dataset, CANVAS, folder).pixels)
    (file,) = folder.glob("*.npy")
    os.truncate(file, keep)
    assert np.array_equal(open_cache(dataset, CANVAS, folder).pixels, before)


def test_the_cache_cannot_be_written_to(coco: Any, tmp_path: Path) -> None:
    cache = open_cache(load_dataset(coco.source), CANVAS, tmp_path / "cache")
    with pytest.raises(ValueError, match="read-only"):
        cache.pixels[0, 0, 0, 0] = 1


def test_every_undecodable_image_is_named_and_nothing_is_left(
    coco: Any, picture: Callable[..., None], tmp_path: Path
) -> None:
    for name in ("a.png", "sub/c.png"):
        file = coco.root / "images" / name
        file.write_bytes(file.read_bytes()[:-2000])
    with pytest.raises(DataError) as caught:
        open_cache(load_dataset(coco.source), CANVAS, tmp_path / "cache")
    message = str(caught.value)
    assert "2 of 3 images can't be decoded" in message
    assert "a.png: can't be decoded, it is truncated or corrupt" in message
    assert "c.png" in message
    assert "b.png" not in message
    assert [file.suffix for file in (tmp_path / "cache").iterdir()] in ([], [".lock"])
    picture(coco.root / "images" / "a.png", seed=1)
    picture(coco.root / "images" / "sub" / "c.png", seed=2)
    assert _built(load_dataset(coco.source), tmp_path / "cache")


def test_a_folder_that_takes_no_file_is_named(coco: Any, tmp_path: Path) -> None:
    (tmp_path / "cache").touch()
    with pytest.raises(DataError, match=r"the image cache .* can't be written"):
        open_cache(load_dataset(coco.source), CANVAS, tmp_path / "cache")


BUILDER = """
import os, signal, sys, time
from pathlib import Path
from detector.config import Canvas
from detector.data_source import DataFormat, DataSource
from detector.data.dataset import load_dataset
from detector.data.image_cache import open_cache

images, annotations, cache, ready, mode = sys.argv[1:]

def progress(done, total):
    if mode == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.3)
    with open(ready, "a") as log:
        log.write(f"built by {os.getpid()}\\n")

source = DataSource(format=DataFormat.COCO, images=Path(images), annotations=Path(annotations))
pixels = open_cache(load_dataset(source), Canvas(height_px=64, width_px=64), Path(cache), progress=progress).pixels
print(int(pixels.astype(int).sum()))
"""


def _start(coco: Any, tmp_path: Path, mode: str) -> subprocess.Popen[str]:
    source = coco.source
    arguments = [source.images, source.annotations, tmp_path / "cache", tmp_path / "log", mode]
    return subprocess.Popen(
        [sys.executable, "-c", BUILDER, *map(str, arguments)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )


def test_a_builder_killed_while_writing_leaves_nothing_half_valid(coco: Any, tmp_path: Path) -> None:
    with _start(coco, tmp_path, "die") as process:
        assert process.wait(60) == -signal.SIGKILL
    assert list((tmp_path / "cache").glob(".*"))  # it did die in the middle
    assert not list((tmp_path / "cache").glob("*.npy"))
    assert _built(load_dataset(coco.source), tmp_path / "cache")
    assert not list((tmp_path / "cache").glob(".*"))


def test_of_two_processes_one_builds_and_both_see_the_same(coco: Any, tmp_path: Path) -> None:
    processes = [_start(coco, tmp_path, "live") for _ in range(2)]
    sums = [process.communicate(timeout=60)[0].strip() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sums[0] == sums[1] != "0"
    assert len((tmp_path / "log").read_text().splitlines()) == 1
    assert not _built(load_dataset(coco.source), tmp_path / "cache")
