import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from detector.data.formats.annotation import DataError
from detector.data.image_file import PADDING_RGB, path_inside, read_header, read_rgb
from detector.data_source import Exif


def _lefty(height_px: int = 4, width_px: int = 6) -> np.ndarray:
    """Red in the upper left quarter, black elsewhere."""
    pixels = np.zeros((height_px, width_px, 3), dtype=np.uint8)
    pixels[: height_px // 2, : width_px // 2, 0] = 255
    return pixels


@pytest.mark.parametrize("suffix", ["tif", "png", "webp"])
@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, lambda a: a),
        (2, lambda a: a[:, ::-1]),
        (3, lambda a: a[::-1, ::-1]),
        (4, lambda a: a[::-1]),
        (5, lambda a: a.transpose(1, 0, 2)),
        (6, lambda a: np.rot90(a, -1)),
        (7, lambda a: a[::-1, ::-1].transpose(1, 0, 2)),
        (8, lambda a: np.rot90(a)),
    ],
)
def test_exif_orientation_turns_header_and_pixels_alike(
    tmp_path: Path, suffix: str, orientation: int, upright: Callable[[np.ndarray], np.ndarray]
) -> None:
    path = tmp_path / f"turned.{suffix}"
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    lossless = {"lossless": True} if suffix == "webp" else {}
    Pillow.fromarray(_lefty()).save(path, exif=exif, **lossless)
    header, expected = read_header(path), upright(_lefty())
    assert (header.height_px, header.width_px) == expected.shape[:2]
    assert header.rotated is (orientation >= 5)
    assert np.array_equal(read_rgb(path, height_px=header.height_px, width_px=header.width_px), expected)
    stored = read_header(path, Exif.STORED)
    assert (stored.width_px, stored.height_px, stored.rotated, stored.turned) == (6, 4, False, False)
    assert np.array_equal(read_rgb(path, height_px=4, width_px=6, exif=Exif.STORED), _lefty())


def _grey(value: int) -> Pillow.Image:
    return Pillow.new("L", (8, 8), value)


def _deep(value: int) -> Pillow.Image:
    pixels = np.zeros((8, 8), dtype=np.uint16)
    pixels[:, 4:] = value
    return Pillow.fromarray(pixels)


def _half_seen() -> Pillow.Image:
    picture = Pillow.new("RGBA", (8, 8), (255, 0, 0, 255))
    picture.paste((0, 255, 0, 0), (0, 0, 4, 8))
    return picture


@pytest.mark.parametrize(
    ("picture", "name", "left", "right"),
    [
        pytest.param(_grey(77), "grey.png", (77, 77, 77), (77, 77, 77), id="grey"),
        pytest.param(Pillow.new("1", (8, 8), 1), "bits.png", (255,) * 3, (255,) * 3, id="one bit"),
        pytest.param(_half_seen(), "alpha.png", PADDING_RGB, (255, 0, 0), id="transparency over the padding colour"),
        pytest.param(Pillow.new("P", (8, 8), 1), "palette.gif", (1, 1, 1), (1, 1, 1), id="palette"),
        pytest.param(Pillow.new("CMYK", (8, 8), (0, 255, 255, 0)), "ink.tif", (255, 0, 0), (255, 0, 0), id="CMYK"),
        pytest.param(_deep(65535), "deep.png", (0, 0, 0), (255, 255, 255), id="16 bits"),
        pytest.param(_deep(4095), "deep.tif", (0, 0, 0), (255, 255, 255), id="12 bits in 16"),
        # 2000 needs 12 bits: 2000 × 255 / 4095 = 124.5
        pytest.param(_deep(2000), "dim.png", (0, 0, 0), (125, 125, 125), id="a dim 12-bit image"),
        pytest.param(
            Pillow.fromarray(np.tile(np.array([-1, 3], dtype=np.float32).repeat(4), (8, 1))),
            "real.tif", (0, 0, 0), (255, 255, 255), id="floating point",
        ),
    ],
)  # fmt: skip
def test_every_mode_becomes_rgb(
    tmp_path: Path, picture: Pillow.Image, name: str, left: tuple[int, ...], right: tuple[int, ...]
) -> None:
    if picture.mode == "P":
        picture.putpalette([value for level in range(256) for value in (level,) * 3])
    picture.save(tmp_path / name)
    pixels = read_rgb(tmp_path / name, height_px=8, width_px=8)
    assert pixels.dtype == np.uint8
    assert np.abs(pixels[:, 0].astype(int) - left).max() <= 1
    assert np.abs(pixels[:, -1].astype(int) - right).max() <= 1


@pytest.mark.parametrize("name", ["fine.png", "fine.jpg"])
def test_shrinking_averages_instead_of_picking(tmp_path: Path, name: str) -> None:
    stripes = np.zeros((128, 128, 3), dtype=np.uint8)
    stripes[:, ::2] = 255
    Pillow.fromarray(stripes).save(tmp_path / name, **({"quality": 100, "subsampling": 0} if "jpg" in name else {}))
    pixels = read_rgb(tmp_path / name, height_px=16, width_px=16)
    assert np.abs(pixels.astype(int) - 127).max() <= 3


def test_a_jpeg_shrunk_while_decoding_keeps_its_geometry(tmp_path: Path) -> None:
    height_px, width_px = 401, 603
    y, x = np.mgrid[0:height_px, 0:width_px]
    ramp = np.stack([x * 255 / width_px, y * 255 / height_px, 0 * x], axis=2).astype(np.uint8)
    Pillow.fromarray(ramp).save(tmp_path / "ramp.jpg", quality=100, subsampling=0)
    pixels = read_rgb(tmp_path / "ramp.jpg", height_px=40, width_px=60).astype(float)
    centres = (np.arange(60) + 0.5) * 255 / 60
    assert np.abs(pixels[20, 2:-2, 0] - centres[2:-2]).max() < 2.5  # one canvas pixel is a step of 4.25


def _png_header(width_px: int, height_px: int, *, depth: int = 8, colour: int = 2) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width_px, height_px, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "the file is empty", id="empty"),
        pytest.param(b"not an image at all", "the header can't be read", id="text"),
        pytest.param(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "the header can't be read", id="EPS"),
        pytest.param(_png_header(60_000, 60_000), "at most 200 megapixels", id="bomb"),
        pytest.param(_png_header(20_000, 10_001), "at most 200 megapixels", id="201 megapixels"),
        pytest.param(_png_header(8_001, 8_000, depth=16), "at most 64 megapixels", id="deep colour"),
        pytest.param(_png_header(8_001, 8_000, depth=16, colour=0), "the header states 8001 × 8000", id="deep grey"),
        pytest.param(_png_header(0, 10), "header", id="no width"),
        pytest.param(b"\xff\xd8\xff\xe0", "the header can't be read", id="a JPEG of four bytes"),
    ],
)
def test_a_bad_header_is_refused_before_decoding(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "bad.jpg"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_header(path)
    assert "bad.jpg" in str(caught.value)


@pytest.mark.parametrize("name", ["cut.jpg", "cut.png", "cut.bmp", "cut.webp"])
def test_a_truncated_image_is_refused_when_decoded(tmp_path: Path, picture: Callable[..., None], name: str) -> None:
    path = tmp_path / name
    picture(path, width_px=200, height_px=100)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match=name):
        read_rgb(path, height_px=10, width_px=20)


def test_the_digest_is_that_of_the_content(tmp_path: Path, picture: Callable[..., None]) -> None:
    for name, seed in (("a.png", 1), ("b.png", 1), ("c.png", 2)):
        picture(tmp_path / name, seed=seed)
    a, b, c = (read_header(tmp_path / name).digest for name in ("a.png", "b.png", "c.png"))
    assert a == b != c


@pytest.fixture
def fenced(tmp_path: Path, picture: Callable[..., None]) -> Path:
    """A folder of images beside a file that nobody may reach."""
    folder = tmp_path / "images"
    picture(folder / "good.png")
    picture(tmp_path / "canary.png")
    (folder / "link.png").symlink_to(tmp_path / "canary.png")
    (folder / "away").symlink_to(tmp_path)
    (folder / "loop.png").symlink_to(folder / "loop.png")
    (folder / "inner.png").symlink_to(folder / "good.png")
    os.mkfifo(folder / "pipe.png")
    return folder


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../canary.png", "leaves the image folder by '..'"),
        ("sub/../../canary.png", "leaves the image folder by '..'"),
        ("..\\canary.png", "leaves the image folder by '..'"),
        ("../images/../canary.png", "leaves the image folder by '..'"),
        ("/etc/passwd", "is an absolute path"),
        ("//server/share/x.png", "is an absolute path"),
        ("C:\\canary.png", "is an absolute path"),
        ("C:canary.png", "is an absolute path"),
        ("\\canary.png", "is an absolute path"),
        ("good.png\0.jpg", "NUL character"),
        ("link.png", "is a link that leaves the dataset's folder"),
        ("away/canary.png", "is a link that leaves the dataset's folder"),
        ("loop.png", "can't be reached"),
        ("good.png/inside", "can't be reached"),
        ("x" * 5000, "can't be reached"),
        ("half a character \ud800.png", "can't be reached"),
        (".", "is not a regular file"),
        ("pipe.png", "is not a regular file"),
        ("none.png", "is missing"),
    ],
)
def test_a_path_that_leads_elsewhere_is_refused(fenced: Path, name: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        path_inside(fenced, name, root=fenced)
    assert message in str(caught.value)


def test_a_link_within_the_folder_is_followed(fenced: Path) -> None:
    assert path_inside(fenced, "link.png", root=fenced.parent) == (fenced.parent / "canary.png").resolve()
    assert path_inside(fenced, "inner.png", root=fenced) == (fenced / "good.png").resolve()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_but_the_upright_is_told(tmp_path: Path, orientation: int) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    Pillow.fromarray(_lefty()).save(tmp_path / "turned.jpg", exif=exif)
    assert read_header(tmp_path / "turned.jpg").turned is (orientation > 1)


def test_a_photograph_of_108_megapixels_is_decoded_at_a_fraction_of_its_size(tmp_path: Path) -> None:
    large = Pillow.fromarray(_lefty(9, 12)).resize((12_000, 9_000), Pillow.Resampling.NEAREST)
    large.save(tmp_path / "large.jpg", quality=30)
    assert read_header(tmp_path / "large.jpg").width_px == 12_000
    pixels = read_rgb(tmp_path / "large.jpg", height_px=90, width_px=120)
    assert pixels[10, 10].tolist() == pytest.approx([255, 0, 0], abs=6)
    assert pixels[80, 110].tolist() == pytest.approx([0, 0, 0], abs=6)


@pytest.mark.parametrize("suffix", ["png", "jpg"])  # the JPEG is progressive, and so held whole
@pytest.mark.parametrize("mode", ["RGB", "L", "P"])
def test_an_image_of_70_megapixels_is_reduced_before_anything_else_is_done_with_it(
    tmp_path: Path, suffix: str, mode: str
) -> None:
    large = Pillow.fromarray(_lefty(7, 10)).convert(mode).resize((10_000, 7_000), Pillow.Resampling.NEAREST)
    path = tmp_path / f"large.{suffix}"
    (large.convert("L") if suffix == "jpg" and mode == "P" else large).save(
        path, **({"progressive": True, "quality": 30} if suffix == "jpg" else {"compress_level": 1})
    )
    header = read_header(path)
    assert (header.width_px, header.height_px) == (10_000, 7_000)
    pixels = read_rgb(path, height_px=70, width_px=100)
    assert pixels.shape == (70, 100, 3)
    assert pixels[10, 10, 0] > 60  # the upper left is red, or grey
    assert pixels[60, 90].max() < 10
    assert pixels[10, 60].max() < 10


def test_what_pillow_hides_of_a_file_is_told(tmp_path: Path) -> None:
    Pillow.fromarray(_lefty()).quantize(4).save(tmp_path / "palette.png", transparency=0)
    assert read_header(tmp_path / "palette.png").mode == "PA"
    rows = b"\0" + b"\x0f\xff" * 3  # a pixel a row, 16 bits a colour
    head = struct.pack(">IIBBBBB", 1, 2, 16, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(2 * rows)), (b"IEND", b""))
    content = b"".join(struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in chunks)
    (tmp_path / "deep.png").write_bytes(b"\x89PNG\r\n\x1a\n" + content)
    assert read_header(tmp_path / "deep.png").mode == "RGB/16"
    assert read_rgb(tmp_path / "deep.png", height_px=2, width_px=1).max() == 255  # of 12 bits
