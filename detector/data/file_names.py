"""Finds the files that annotations name in another way: written on another machine, or renamed since.

A name is only taken otherwise where every missing one has exactly one file that fits; else nothing is guessed.
"""

import difflib
import itertools
import os
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from detector.data.formats.annotation import Annotations, Remark

MOST_FILES = 500_000  # of a folder that is looked through

Reading = Callable[[str], str]


def _slashes(name: str) -> str:
    return name.replace("\\", "/").removeprefix("./")


def _composed(name: str) -> str:
    _, separator, url = name.partition("://")
    plain = url.partition("?")[0].partition("#")[0] if separator else _slashes(name)
    return unicodedata.normalize("NFC", unquote(plain))


def _base(name: str) -> str:
    return PurePosixPath(_composed(name).casefold()).name


def _stem(name: str) -> str:
    return str(PurePosixPath(_composed(name).casefold()).with_suffix("")) if _base(name) else ""


def _base_stem(name: str) -> str:
    return PurePosixPath(_base(name)).stem


#: How a name may be read → what two names that are the same in that reading have in common; strictest first.
READINGS: Mapping[str, Reading] = {
    "with / for \\": _slashes,
    "without URL escapes, in composed Unicode": _composed,
    "whatever their upper and lower case": lambda name: _composed(name).casefold(),
    "whatever their suffix": _stem,
    "by their last part, whatever the folder": _base,
    "by their last part, whatever folder and suffix": _base_stem,
}


def with_files(annotations: Annotations, folder: Path) -> Annotations:
    """The same with the names of the files that are there, and a remark where any was taken otherwise."""
    words, names = other_names([entry.file_name for entry in annotations.images], folder)
    if not names:
        return annotations
    images = tuple(replace(e, file_name=names.get(e.file_name, e.file_name)) for e in annotations.images)
    return replace(annotations, images=images, remarks=(*annotations.remarks, _remark(words, names)))


def other_names(names: Iterable[str], folder: Path) -> tuple[str, dict[str, str]]:
    """How the names of which there is no file are to be read, in words, and the file of each; nothing where a name has
    none in any reading.
    """
    missing = [name for name in names if not _exists(folder, name)]
    files = list(_files(folder)) if missing else []
    for words, reading in READINGS.items() if files else ():
        found = _matched(missing, files, reading, folder)
        if found is not None:
            return words, found
    return "", {}


def nearest(names: Sequence[str], folder: Path) -> dict[str, str]:
    """Of each name the file of the folder that looks most like it, where one does."""
    by_base = {_base(file): file for file in _files(folder)} if names else {}
    close = {name: difflib.get_close_matches(_base(name), by_base, n=1, cutoff=0.75) for name in names}
    return {name: by_base[found[0]] for name, found in close.items() if found}


def _matched(names: Iterable[str], files: Sequence[str], reading: Reading, folder: Path) -> dict[str, str] | None:
    """The one file of each name, or None where a name has none or several, or two names have the same."""
    by_reading: defaultdict[str, list[str]] = defaultdict(list)
    for file in files:
        by_reading[reading(file)].append(file)
    found: dict[str, str] = {}
    for name in names:
        fitting = _best(name, by_reading.get(reading(name), []), folder)
        if fitting is None:
            return None
        found[name] = fitting
    return found if len(set(found.values())) == len(found) else None


def _best(name: str, files: Sequence[str], folder: Path) -> str | None:
    """The file whose path has the most last parts in common with the name; None where two have as many."""
    ranked = sorted(((_common_parts(name, f"{folder}/{file}"), file) for file in files), reverse=True)
    if not ranked or (len(ranked) > 1 and ranked[0][0] == ranked[1][0]):
        return None
    return ranked[0][1]


def _common_parts(name: str, path: str) -> int:
    pairs = zip(reversed(_composed(name).casefold().split("/")), reversed(path.casefold().split("/")), strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


def _remark(words: str, names: Mapping[str, str]) -> Remark:
    return Remark(
        name="file-names-read-otherwise",
        message=f"{len(names)} images are not there under the names that the annotations give; all were found {words}",
        advice="nothing, if these are the same images",
        count=len(names),
        examples=tuple(f"{name} is {file}" for name, file in list(names.items())[:5]),
    )


def _exists(folder: Path, name: str) -> bool:
    """Whether the name leads to a file, and not out of the folder."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        return False
    try:
        return (folder / name).is_file()
    except (OSError, ValueError):  # no name that the system takes
        return False


def _files(folder: Path) -> Iterator[str]:
    """The names of the files below the folder, relative to it; hidden ones are left out."""
    count = 0
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        for file in sorted(files):
            if file.startswith("."):
                continue
            if (count := count + 1) > MOST_FILES:
                return
            yield Path(place, file).relative_to(folder).as_posix()
