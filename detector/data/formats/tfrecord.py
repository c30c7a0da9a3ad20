"""Reads TFRecord files of the TensorFlow Object Detection API, as far as their examples go.

A record is its length, a checksum, the bytes and a checksum; an example is a map from names to lists, in Protocol
Buffers' wire format (https://protobuf.dev/programming-guides/encoding). TensorFlow would take 5 s and 400 MB to load.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

from detector.data.formats.annotation import DataError

MOST_RECORD_BYTES = 1 << 30
_HEAD, _TAIL = 12, 4  # length and its checksum; the checksum of the bytes

Values = list[bytes] | list[float] | list[int]


def read_examples(file: Path) -> Iterator[dict[str, Values]]:
    """The features of each example.

    Raises:
        DataError: the file is no TFRecord file, or ends in the middle.
    """
    try:
        with file.open("rb") as opened:
            while head := opened.read(_HEAD):
                length = struct.unpack("<Q", head[:8])[0] if len(head) == _HEAD else MOST_RECORD_BYTES + 1
                record = opened.read(length + _TAIL) if length <= MOST_RECORD_BYTES else b""
                if len(record) != length + _TAIL:
                    raise DataError(f"{file}: is no TFRecord file, or ends in the middle; write it again")
                yield dict(_features(record[:-_TAIL]))
    except OSError as error:
        raise DataError(f"{file}: can't be read: {error}") from error
    except (ValueError, IndexError, struct.error) as error:
        raise DataError(f"{file}: a record holds no tf.train.Example: {error}") from error


def _features(example: bytes) -> Iterator[tuple[str, Values]]:
    for _, features in _fields(example):
        for _, entry in _fields(_bytes(features)):
            parts = dict(_fields(_bytes(entry)))
            if 1 in parts:
                yield _bytes(parts[1]).decode("utf-8"), _values(_bytes(parts.get(2, b"")))


def _values(feature: bytes) -> Values:
    """The list of a feature: of bytes, floats or whole numbers."""
    for kind, content in _fields(feature):
        fields = [value for _, value in _fields(_bytes(content))]
        if kind == 1:
            return [_bytes(value) for value in fields]
        if kind == 2:  # packed, or each by itself
            packed = b"".join(_bytes(value) for value in fields)
            return [number for (number,) in struct.iter_unpack("<f", packed)]
        if kind == 3:
            return [number for value in fields for number in ([value] if isinstance(value, int) else _varints(value))]
    return []


def _fields(message: bytes) -> Iterator[tuple[int, bytes | int]]:
    """Number and content of each field; fixed-width numbers as their bytes."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, at = _varint(message, at)
            yield number, value
            continue
        length = {1: 8, 5: 4}.get(kind)
        if kind == 2:
            length, at = _varint(message, at)
        if length is None or at + length > len(message):
            raise ValueError("a field reaches beyond its message")
        yield number, message[at : at + length]
        at += length


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """The number, 7 bits a byte, and where the next field begins; negative ones have 64 bits."""
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value - (1 << 64) if value >= 1 << 63 else value, at
        if shift > 63:
            raise ValueError("a number has more than 64 bits")


def _varints(packed: bytes) -> Iterator[int]:
    at = 0
    while at < len(packed):
        value, at = _varint(packed, at)
        yield value


def _bytes(value: bytes | int) -> bytes:
    if isinstance(value, int):
        raise ValueError("a number stands where a message belongs")
    return value
