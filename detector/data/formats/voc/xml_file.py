"""One Pascal VOC XML file: its tree, and its values taken as they are meant."""

import codecs
from pathlib import Path
from xml.etree import ElementTree

from detector.data.formats.annotation import DataError

MOST_DIGITS = 18  # of a size


def parse_annotation(content: bytes, file: Path) -> ElementTree.Element:
    """The outermost element.

    Raises:
        DataError: no XML, XML with entities of its own, or of another kind.
    """
    if b"<!ENTITY" in content.replace(b"\0", b""):  # the door to expansion without an end
        raise DataError(f"{file}: XML entities (<!ENTITY) are not allowed in VOC annotations; remove them")
    try:
        root = ElementTree.fromstring(content)
    except ElementTree.ParseError as error:
        line, column = error.position
        why = f"{error}{_encoding_hint(content)}"
        raise DataError(f"{file}: not valid XML at line {line}, column {column}: {why}; export it again") from error
    except (ValueError, LookupError) as error:  # an unknown encoding
        raise DataError(f"{file}: not valid XML: {error}; export it again as UTF-8") from error
    if root.tag != "annotation":
        raise DataError(f"{file}: the outermost element must be <annotation>, but is <{root.tag[:60]}>")
    return root


def _encoding_hint(content: bytes) -> str:
    """What is to be said where the bytes are no UTF-8 and the file names no other encoding."""
    if b"encoding" in content[:200] or content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return ""
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return " (its bytes are not UTF-8: save it as UTF-8, or declare its encoding in the first line)"
    return ""


def number_of(item: ElementTree.Element, path: str, file: Path, index: int) -> float:
    """A number of pixels of the object with that index.

    Raises:
        DataError: there is none.
    """
    text = item.findtext(path)
    try:
        return float(text or "")
    except ValueError as error:
        found = "is missing" if text is None else f"is {text[:60]!r}"
        raise DataError(f"{file}: object {index}: {path} must be a number of pixels, but {found}") from error


def size_of(root: ElementTree.Element, path: str, file: Path) -> int | None:
    """A side of the image in pixels; None where the file doesn't know it: absent, empty, zero or negative.

    Raises:
        DataError: it is no whole number.
    """
    text = (root.findtext(path) or "").strip()
    whole, _, rest = text.partition(".")
    digits = whole.removeprefix("-")
    if not text:
        return None
    if not digits.isdecimal() or len(digits) > MOST_DIGITS or rest.strip("0"):
        raise DataError(f"{file}: {path} must be a whole number of pixels, but is {text[:60]!r}")
    return int(whole) if int(whole) > 0 else None


def text_of(item: ElementTree.Element, path: str, file: Path) -> str:
    """A text that isn't empty.

    Raises:
        DataError: there is none.
    """
    text = (item.findtext(path) or "").strip()
    if not text:
        raise DataError(f"{file}: every object needs a {path}, but one has none")
    return text
