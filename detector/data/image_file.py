"""Image files: safe paths, checked headers, and decoding to RGB.

Every size is that of the *upright* image: the EXIF orientation is applied, in the header as in the pixels. It is not
where boxes were drawn on the picture as it is stored (`Exif.STORED`).
"""

import hashlib
import threading
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import UnidentifiedImageError

from detector.data.formats.annotation import DataError, Fault
from detector.data.orientation import lies, orientation_of, stored_size_px, turn_left
from detector.data_source import Exif

FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF", "PPM")  # nothing that runs a program, as EPS does
LARGE_PIXELS = 64_000_000  # decoded beside others; a larger image alone, so that memory stays at 1 GB or so
MOST_PIXELS = 200_000_000  # that are ever decoded, at 4 bytes
MOST_DEEP_PIXELS = LARGE_PIXELS  # of more than 8 bits, which take four times the memory on the way
MOST_PROGRESSIVE_PIXELS = 128_000_000  # such a JPEG is held whole, whatever the size that it is decoded at
MOST_JPEG_PIXELS = 400_000_000  # in the file: a plain one is decoded at a fraction of its size
PADDING_RGB = (124, 116, 104)  # the ImageNet mean: neutral after normalisation
FULL_SCALES = (255, 1023, 4095, 16383, 65535)  # of 8, 10, 12, 14 and 16 bits

_ONE_LARGE = threading.Lock()
Box = tuple[float, float, float, float]  # of a part: left, upper, right, lower
Pillow.MAX_IMAGE_PIXELS = None  # the bounds are those above, and known before anything is decoded


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a file says of itself, without decoding it."""

    width_px: int
    height_px: int
    rotated: bool  # by EXIF, so that width and height change places
    turned: bool = False  # by EXIF in any way, mirrored included
    digest: str  # sha256 of the whole file
    mode: str = "RGB"  # Pillow's, as stored: L is grey, I;16 has 16 bits, RGBA is transparent; RGB/16 is ours


def path_inside(folder: Path, name: str, *, root: Path) -> Path:
    """The real path of a file named relative to a folder; links are followed to whatever lies below the root.

    Raises:
        DataError: it is missing, no regular file, or outside. Nothing is opened.
    """
    place = f"{folder}: image {name[:200]!r}"
    foreign = PureWindowsPath(name)
    if "\0" in name:
        raise DataError(f"{place} has a NUL character in its name", fault=Fault.IMAGE_PATH)
    if Path(name).is_absolute() or foreign.drive or foreign.root:
        raise DataError(
            f"{place} is an absolute path; name images relative to the image folder", fault=Fault.IMAGE_PATH
        )
    if ".." in Path(name).parts or ".." in foreign.parts:
        raise DataError(
            f"{place} leaves the image folder by '..'; name images relative to the image folder", fault=Fault.IMAGE_PATH
        )
    try:
        path = (folder / name).resolve(strict=True)
    except FileNotFoundError as error:
        raise DataError(
            f"{place} is missing; add the file or remove its annotations", fault=Fault.IMAGE_MISSING
        ) from error
    except (OSError, RuntimeError, ValueError) as error:  # too long, a folder used as a file, a loop of links, no text
        raise DataError(f"{place} can't be reached: {error}", fault=Fault.IMAGE_PATH) from error
    if not path.is_relative_to(root.resolve()):
        raise DataError(
            f"{place} is a link that leaves the dataset's folder; set `follow_links: true` in the section `data` if "
            "that is meant, or copy the file there",
            fault=Fault.IMAGE_PATH,
        )
    if not path.is_file():
        raise DataError(f"{place} is not a regular file", fault=Fault.IMAGE_PATH)
    return path


def read_header(path: Path, exif: Exif = Exif.UPRIGHT) -> Header:
    """Size and digest of an image file. Reads all of it, decodes none of it.

    Raises:
        DataError: the file is empty, of no known format, or has more pixels than can be decoded.
    """
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)
            with _open(file, path) as picture:
                width_px, height_px = stored_size_px(picture)
                orientation = orientation_of(picture) if exif is Exif.UPRIGHT else 1
                mode = _stored_mode(picture)
    except OSError as error:
        raise DataError(f"{path}: can't be read: {error}", fault=Fault.IMAGE_UNREADABLE) from error
    if width_px < 1 or height_px < 1:
        message = f"{path}: the header states {width_px} × {height_px} px; replace the file"
        raise DataError(message, fault=Fault.IMAGE_UNREADABLE)
    rotated = lies(orientation)
    if rotated:
        width_px, height_px = height_px, width_px
    return Header(
        width_px=width_px, height_px=height_px, rotated=rotated, turned=orientation > 1, digest=digest, mode=mode
    )


def read_rgb(path: Path, *, height_px: int, width_px: int, exif: Exif = Exif.UPRIGHT) -> NDArray[np.uint8]:
    """The image scaled to a size, [height_px, width_px, 3], antialiased where it shrinks.

    Grey, palette and CMYK are converted, transparency is laid over the padding colour, and more than 8 bits are
    scaled from the smallest usual bit depth that holds the brightest pixel (12-bit sensors store 4,095 in 16 bits).

    Raises:
        DataError: the pixels can't be decoded.
    """
    try:
        with path.open("rb") as file, _open(file, path) as picture:
            turn = turn_left(picture, exif)
            lying = turn is not None and lies(orientation_of(picture))
            size = (height_px, width_px) if lying else (width_px, height_px)
            draft = picture.draft(None, (2 * size[0], 2 * size[1]))  # JPEG only: decodes at a fraction of the size
            if picture.width * picture.height > MOST_PIXELS:
                raise _too_large(path, f"{picture.width} × {picture.height} px to decode", MOST_PIXELS)
            box: Box = draft[1] if draft else (0, 0, *picture.size)
            scaled = _scaled(picture, size, box)
            return np.asarray(scaled if turn is None else scaled.transpose(turn), dtype=np.uint8)
    except DataError:
        raise
    except Exception as error:  # a decoder that is fed with garbage may raise nearly anything
        message = f"{path}: can't be decoded, it is truncated or corrupt: {error}"
        raise DataError(message, fault=Fault.IMAGE_UNREADABLE) from error


def _scaled(picture: Pillow.Image, size: tuple[int, int], box: Box) -> Pillow.Image:
    """The part of the picture in RGB at that size; of large ones there is only one in memory at a time."""
    if picture.width * picture.height <= LARGE_PIXELS:
        return _rgb(picture).resize(size, Pillow.Resampling.BILINEAR, box=box, reducing_gap=2.0)
    with _ONE_LARGE:
        factors = (max(1, picture.width // (2 * size[0])), max(1, picture.height // (2 * size[1])))
        if picture.mode in {"1", "P"}:  # of which no mean can be taken
            small = picture.convert("RGBA" if "transparency" in picture.info else "RGB").reduce(factors)
        else:
            small = picture.reduce(factors)
        picture.close()  # the pixels of the large one
    x, y = factors
    part = (box[0] / x, box[1] / y, box[2] / x, box[3] / y)
    return _rgb(small).resize(size, Pillow.Resampling.BILINEAR, box=part)


def _open(file: BinaryIO, path: Path) -> Pillow.Image:
    """The picture with its header read and its size within bounds."""
    try:
        picture = Pillow.open(file, formats=FORMATS)
    except UnidentifiedImageError as error:
        known = ", ".join(FORMATS)
        reason = "the file is empty" if path.stat().st_size == 0 else f"the header can't be read as one of {known}"
        raise DataError(f"{path}: {reason}; replace the file", fault=Fault.IMAGE_UNREADABLE) from error
    except Exception as error:  # a decoder that is fed with garbage may raise nearly anything
        message = f"{path}: the header can't be read: {error}; replace the file"
        raise DataError(message, fault=Fault.IMAGE_UNREADABLE) from error
    most = _most_pixels(picture)
    if picture.width * picture.height > most:
        raise _too_large(path, f"{picture.width} × {picture.height} px", most)
    return picture


def _most_pixels(picture: Pillow.Image) -> int:
    """How large a picture of its kind may be."""
    if picture.format in {"JPEG", "MPO"}:
        return MOST_PROGRESSIVE_PIXELS if picture.info.get("progressive") else MOST_JPEG_PIXELS
    deep = picture.mode.startswith(("I", "F")) or _stored_mode(picture).endswith("/16")
    return MOST_DEEP_PIXELS if deep else MOST_PIXELS


def _too_large(path: Path, found: str, most: int) -> DataError:
    message = (
        f"{path}: an image may have at most {most / 1e6:.0f} megapixels, but the header states {found}; cut it into "
        "tiles, or save it as a plain JPEG"
    )
    return DataError(message, fault=Fault.IMAGE_TOO_LARGE)


def _stored_mode(picture: Pillow.Image) -> str:
    """Pillow's mode, and what it hides: a palette's transparent colour, 16 bits a colour of which it reads 8."""
    if picture.mode == "P" and "transparency" in picture.info:
        return "PA"
    deep = any(";16" in str(tile[3]) for tile in getattr(picture, "tile", ()))
    return f"{picture.mode}/16" if deep and picture.mode in {"RGB", "RGBA", "LA"} else picture.mode


def _rgb(picture: Pillow.Image) -> Pillow.Image:
    if _stored_mode(picture).endswith("/16"):
        picture = _upper_bits(picture)
    if picture.mode.startswith(("I", "F")):
        return _eight_bits(picture).convert("RGB")
    if picture.mode in {"LA", "La", "PA", "RGBA", "RGBa"} or "transparency" in picture.info:
        opaque = Pillow.new("RGBA", picture.size, (*PADDING_RGB, 255))
        return Pillow.alpha_composite(opaque, picture.convert("RGBA")).convert("RGB")
    return picture.convert("RGB")


def _upper_bits(picture: Pillow.Image) -> Pillow.Image:
    """Of 16 bits a colour Pillow gives the upper 8: scaled from the smallest usual bit depth that holds them."""
    values = np.asarray(picture)
    full_scale = next(scale >> 8 for scale in FULL_SCALES[1:] if values.max() <= scale >> 8)
    return Pillow.fromarray((values.astype(np.uint16) * 255 // full_scale).astype(np.uint8))


def _eight_bits(picture: Pillow.Image) -> Pillow.Image:
    values = np.nan_to_num(np.asarray(picture, dtype=np.float32), posinf=0.0, neginf=0.0)
    darkest, brightest = float(values.min()), float(values.max())
    if picture.mode == "F" or darkest < 0 or brightest > FULL_SCALES[-1]:  # no known full scale: use the whole range
        values, scale = values - darkest, max(brightest - darkest, 1e-6)
    else:
        scale = float(next(limit for limit in FULL_SCALES if brightest <= limit))
    return Pillow.fromarray(np.round(values * (255.0 / scale)).astype(np.uint8))
