"""Whether the data that a study file names is there, told in the words of the file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from detector.similar_path import did_you_mean
from search.study.data_section import Data
from search.study.document import StudyFileError, read_document


def require_data(file: Path, data: Data) -> None:
    """Return if every path is there that the study file names as data; `data` holds them as they were made absolute.

    Raises:
        StudyFileError: one line for each that is not, with where it was looked for: the file may have been moved.
    """
    written = read_document(file).get("data")
    missing = [f"{file}: {_problem(key, text, path)}" for key, text, path in _paths(written, data) if not path.exists()]
    if missing:
        raise StudyFileError("\n".join(missing))


def _paths(written: Any, data: Data) -> Iterator[tuple[str, str, Path]]:
    """Each path of the section: its key, the text in the file, and where that leads."""
    if data.folder is not None:
        yield "data.folder", str(written["folder"]), data.folder
    for name, split in (("train", data.train), ("validation", data.validation)):
        for key in ("images", "annotations", "split") if split else ():
            if (path := getattr(split, key)) is not None:
                yield f"data.{name}.{key}", str(written[name][key]), path


def _problem(key: str, text: str, path: Path) -> str:
    if Path(text).expanduser().is_absolute():
        return f"{key} is {text}, but nothing is there{did_you_mean(path)}; write where the data is now"
    return (
        f"{key} is {text}, taken from the folder of the study file: looked for as {path}, but nothing is there"
        f"{did_you_mean(path)}; if the study file was moved, move it back, or write where the data is now"
    )
