"""The lines of study.yaml that would name what lies in a folder, filled in with what is likeliest meant."""

import os
from collections.abc import Callable
from pathlib import Path

from detector.data.formats.folders import folders_of
from detector.data.formats.image_list import is_image

_ANNOTATIONS = (".json", ".csv")  # one file for all images


def lines_for_folder(folder: Path) -> str:
    """The section for a folder in no known layout; what isn't there stays a word to fill in."""
    folders = folders_of(folder)
    images = _fullest(folders, is_image) or "FOLDER_OF_IMAGES"
    return f"data:\n  train: {{images: {images}, annotations: {_annotations(folders)}}}"


def _annotations(folders: list[Path]) -> Path | str:
    files = [place / name for place in folders for name in _names(place) if name.casefold().endswith(_ANNOTATIONS)]
    if files:
        return max(files, key=lambda file: file.stat().st_size)
    return _fullest(folders, lambda name: name.casefold().endswith(".xml")) or "FILE.json_OR_FOLDER_OF_XML"


def _fullest(folders: list[Path], counts: Callable[[str], bool]) -> Path | None:
    """The folder with the most files of a kind; None where there is none at all."""
    number, place = max(((sum(map(counts, _names(place))), place) for place in folders), key=lambda each: each[0])
    return place if number else None


def _names(place: Path) -> list[str]:
    try:
        with os.scandir(place) as entries:
            return [entry.name for entry in entries if entry.is_file() and not entry.name.startswith(".")]
    except OSError:
        return []
