"""How EXIF turns a picture, and what is left to do until its pixels lie as they are asked for."""

from PIL import Image as Pillow

from detector.data_source import Exif

_TAG = 0x0112
_UPRIGHT = {
    2: Pillow.Transpose.FLIP_LEFT_RIGHT,
    3: Pillow.Transpose.ROTATE_180,
    4: Pillow.Transpose.FLIP_TOP_BOTTOM,
    5: Pillow.Transpose.TRANSPOSE,
    6: Pillow.Transpose.ROTATE_270,
    7: Pillow.Transpose.TRANSVERSE,
    8: Pillow.Transpose.ROTATE_90,
}
_BACK = {6: 8, 8: 6}  # the others are their own inverse


def orientation_of(picture: Pillow.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 is upright and stands for anything unreadable, too."""
    try:
        # The base class's method: PNG's own would decode the whole image in search of a late chunk.
        value = Pillow.Image.getexif(picture).get(_TAG, 1)
    except Exception:  # broken EXIF is common and no reason to refuse the pixels
        return 1
    return value if value in _UPRIGHT else 1


def lies(orientation: int) -> bool:
    """Whether width and height change places between the stored picture and the upright one."""
    return orientation >= 5


def stored_size_px(picture: Pillow.Image) -> tuple[int, int]:
    """Width and height as they lie in the file."""
    width, height = picture.size
    return (height, width) if _turned_by_pillow(picture) and lies(orientation_of(picture)) else (width, height)


def turn_left(picture: Pillow.Image, exif: Exif) -> Pillow.Transpose | None:
    """What must be done to the pixels that Pillow decodes."""
    orientation = orientation_of(picture)
    if _turned_by_pillow(picture) is (exif is Exif.UPRIGHT):
        return None
    return _UPRIGHT.get(_BACK.get(orientation, orientation) if exif is Exif.STORED else orientation)


def _turned_by_pillow(picture: Pillow.Image) -> bool:
    return picture.format == "TIFF"  # size and pixels
