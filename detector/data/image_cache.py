"""A dataset's images on one canvas as uint8, decoded once per host and shared by every process through the page cache.

An image is scaled by one factor until it fits, its upper left corner at the canvas's, and the rest is padded:

    scale = min(H / height_px, W / width_px)      canvas pixel = original pixel × scale

A cache file is complete or absent: it is written under another name and renamed once it is on the disk.
"""

import contextlib
import io
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from detector.config import Canvas
from detector.data.dataset import Dataset, Image, bad_images
from detector.data.formats.annotation import DataError, Defect
from detector.data.image_file import PADDING_RGB, read_rgb
from detector.whole_file import sync, write_whole

DECODING = 1  # raise it when the same file would give other pixels
BATCH = 64  # images that are decoded before they are written; bounds the memory

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CanvasCache:
    """Images on the canvas, in the order of the dataset. Read-only."""

    pixels: np.memmap  # uint8 [n, H, W, 3] RGB
    scales: NDArray[np.float32]  # [n] canvas pixels per original pixel
    extents: NDArray[np.float32]  # [n, 2] height and width that the image covers, canvas pixels; the rest is padding


def open_cache(dataset: Dataset, canvas: Canvas, folder: Path, *, progress: Progress | None = None) -> CanvasCache:
    """The cache of this dataset on this canvas, built first if the folder has none.

    Of several processes that ask at once, one builds and the others wait. `progress` is called with the images done
    and in all, only while building.

    Raises:
        BadImages: some can't be decoded.
        DataError: the folder can't take the file.
    """
    geometry = [letterbox(image, canvas) for image in dataset.images]
    file = folder / f"{dataset.fingerprint[:24]}-{canvas}-{DECODING}.npy"
    shape = (len(dataset.images), canvas.height_px, canvas.width_px, 3)
    pixels = _mapped(file, shape)
    if pixels is None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(file.with_suffix(".lock")):
                pixels = _mapped(file, shape)
                if pixels is None:
                    _build(dataset, canvas, file, shape, progress)
                    pixels = _mapped(file, shape)
        except OSError as error:
            need = f"{np.prod(shape) / 1e6:.0f} MB"
            raise DataError(
                f"{file}: the image cache ({need}) can't be written: {error}; free space or move it"
            ) from error
    if pixels is None:
        raise DataError(f"{file}: the image cache changed while it was opened; is another program writing there?")
    return CanvasCache(
        pixels=pixels,
        scales=np.array([scale for scale, _ in geometry], dtype=np.float32),
        extents=np.array([extent for _, extent in geometry], dtype=np.float32).reshape(-1, 2),
    )


def letterbox(image: Image, canvas: Canvas) -> tuple[float, tuple[float, float]]:
    """The scale of an image on the canvas, and the height and width that it covers there, in canvas pixels."""
    scale = min(canvas.height_px / image.height_px, canvas.width_px / image.width_px)
    return scale, (min(canvas.height_px, image.height_px * scale), min(canvas.width_px, image.width_px * scale))


def read_scaled(image: Image, canvas: Canvas) -> NDArray[np.uint8]:
    """The decoded image at its scale on the canvas, without the padding, [h, w, 3].

    Raises:
        DataError: it can't be decoded.
    """
    height_px, width_px = (max(1, round(side)) for side in letterbox(image, canvas)[1])
    return read_rgb(image.path, height_px=height_px, width_px=width_px, exif=image.exif)


def place_on_canvas(image: Image, canvas: Canvas) -> NDArray[np.uint8]:
    """The decoded image on its canvas, [H, W, 3]. Raises as `read_scaled`."""
    picture = read_scaled(image, canvas)
    placed = np.full((canvas.height_px, canvas.width_px, 3), PADDING_RGB, dtype=np.uint8)
    placed[: picture.shape[0], : picture.shape[1]] = picture
    return placed


def _mapped(file: Path, shape: tuple[int, ...]) -> np.memmap | None:
    """The file's array, or None unless it is whole and has this shape."""
    try:
        pixels = np.lib.format.open_memmap(file, mode="r")
    except Exception:  # NumPy lets through whatever its parser of a damaged header stumbles over
        return None
    return pixels if pixels.shape == shape and pixels.dtype == np.uint8 else None


def _build(dataset: Dataset, canvas: Canvas, file: Path, shape: tuple[int, ...], progress: Progress | None) -> None:
    for remains in file.parent.glob(f".{file.name}.*"):  # of a builder that was killed; we hold its lock
        remains.unlink()

    def write(path: Path) -> None:
        with path.open("wb") as stream:
            header = io.BytesIO()
            np.lib.format.write_array_header_1_0(
                header, {"descr": np.dtype(np.uint8).str, "fortran_order": False, "shape": shape}
            )
            stream.write(header.getvalue())
            for picture in _decoded(dataset, canvas, progress):
                stream.write(picture.data)

    write_whole(file, write)
    with contextlib.suppress(OSError):  # not every system can open a folder
        sync(file.parent)


def _decoded(dataset: Dataset, canvas: Canvas, progress: Progress | None) -> Iterator[NDArray[np.uint8]]:
    """Every image on its canvas, in order. Raises at the end if any was bad, so that all of them are known."""

    def decode(image: Image) -> NDArray[np.uint8] | Defect:
        try:
            return place_on_canvas(image, canvas)
        except DataError as error:
            return Defect(fault=error.fault, file=image.name, message=str(error))

    defects: list[Defect] = []
    total = len(dataset.images)
    with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:
        for start in range(0, total, BATCH):
            for result in pool.map(decode, dataset.images[start : start + BATCH]):
                if isinstance(result, Defect):
                    defects.append(result)
                elif not defects:
                    yield result
            if progress is not None:
                progress(min(start + BATCH, total), total)
    if defects:
        raise bad_images(
            f"{len(defects)} of {total} images can't be decoded; replace or remove them", defects, dataset.source
        )
