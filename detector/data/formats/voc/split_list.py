"""The list of images of a Pascal VOC split, as tools write it: with suffixes, folders, flags, in UTF-16."""

import codecs
from collections import Counter
from collections.abc import Collection
from pathlib import Path, PureWindowsPath

from detector.data.formats.annotation import DataError, Seen

_FLAGS = frozenset({"1", "0", "-1"})  # of lists of one class: `cat_train.txt`
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def listed_stems(split: Path, known: Collection[str], seen: Seen) -> list[str]:
    """The stems that the list names, each once, in its order; `known` are those of the annotation files.

    Repetitions are counted in `seen`.

    Raises:
        DataError: the list is missing, can't be read, or names nothing.
    """
    stems = [_stem(line, known) for line in _lines(split) if line]
    if not stems:
        raise DataError(f"{split}: lists no image; write one file name without its extension on each line")
    for stem, times in Counter(stems).items():
        if times > 1:
            seen.add(stem)
    return list(dict.fromkeys(stems))


def _lines(split: Path) -> list[str]:
    try:
        content = split.read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"{split}: the list of images is missing; check the path") from error
    except OSError as error:
        raise DataError(f"{split}: the list of images can't be read: {error}") from error
    try:
        text = content.decode("utf-16" if content.startswith(_UTF16) else "utf-8-sig")
    except ValueError as error:
        raise DataError(f"{split}: the list of images can't be read: {error}; save it as UTF-8") from error
    return [line.strip() for line in text.splitlines()]


def _stem(line: str, known: Collection[str]) -> str:
    """The stem that a line means: the line itself, or what is left without flag, folder or suffix."""
    if "\0" in line:
        raise DataError(f"{line[:60]!r} in the list of images holds a NUL character; write the list again")
    words = line.rsplit(maxsplit=1)
    plain = words[0] if len(words) == 2 and words[1] in _FLAGS and line not in known else line
    base = PureWindowsPath(plain).name
    return next((name for name in (plain, base, PureWindowsPath(base).stem) if name in known), base)
