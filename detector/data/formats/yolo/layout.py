"""Recognises YOLO data in a folder: by its data.yaml, or by label files beside a list of classes."""

import contextlib
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

from detector.data.formats.annotation import DataError
from detector.data.formats.folders import Role, files_in, folders_of, only_source, refuse_without_training, role_of
from detector.data.formats.image_list import is_image
from detector.data.formats.reader import Pair
from detector.data.formats.yolo.names import TEXT_FILES, yaml_document
from detector.data_source import DataFormat, DataSource

LAYOUTS = ("data.yaml with names and train (YOLO), or images/ and labels/ with a classes.txt",)
HEAD_BYTES = 4096

_LABEL = re.compile(r"\s*\d+(\.0+)?(\s+[-+.\deE]+){4,}\s*")


def label_file(image: Path) -> Path:
    """The text file of an image: in the folder `labels` that stands where the last `images` does, or beside it."""
    beside = image.with_suffix(".txt")
    parts = list(beside.parts)
    for place in range(len(parts) - 2, -1, -1):
        if parts[place].casefold() in {"images", "imgs", "jpegimages"}:
            parts[place] = "labels"
            there = Path(*parts)
            return there if there.parent.is_dir() or not beside.is_file() else beside
    return beside


def recognise_yolo(folder: Path) -> Pair | None:
    """Training and validation data of the folder, or None; neither has been read.

    Raises:
        DataError: several fit, or what data.yaml names isn't there.
    """
    for file in _yaml_files(folder):
        if pair := yolo_of_file(file):
            return pair
    return _by_folders(folder)


def yolo_of_file(file: Path) -> Pair | None:
    """The splits that a data.yaml names; None where the file is something else.

    Raises:
        DataError: what it names isn't there.
    """
    document = _document(file) if file.suffix.casefold() in {".yaml", ".yml"} else {}
    if "names" in document and ("train" in document or "val" in document):
        return _by_yaml(file, document, file.parent)
    return None


def _document(file: Path) -> dict[str, object]:
    """What the YAML file holds; nothing where it is some other file."""
    with contextlib.suppress(DataError):
        return yaml_document(file)
    return {}


def _yaml_files(folder: Path) -> Iterator[Path]:
    return itertools.chain.from_iterable(files_in(folder, suffix) for suffix in (".yaml", ".yml"))


def _by_yaml(file: Path, document: dict[str, object], folder: Path) -> Pair:
    root = document.get("path")
    train, validation = (_named(document.get(key), str(root or ""), file) for key in ("train", "val"))
    validation = validation or _named(document.get("valid"), str(root or ""), file)
    if train is None:
        pair = _by_folders(folder, names=file)
        if pair is None:
            found = f"train: {document.get('train')}"
            raise DataError(f"{file}: looks like YOLO data, but {found[:100]} is not there; correct `path` or `train`")
        return pair
    return _source(train, file), _source(validation, file) if validation else None


def _named(entry: object, root: str, file: Path) -> Path | None:
    """The folder or list that an entry of data.yaml means, on this machine."""
    if isinstance(entry, list) and len(entry) == 1:
        entry = entry[0]
    if not isinstance(entry, str) or "\0" in entry:
        return None
    inside = re.sub(r"^(\.\./)+", "", entry.replace("\\", "/"))
    tail = Path(*Path(entry).parts[-2:]) if Path(entry).is_absolute() else Path(inside)
    candidates = (file.parent / root / entry, file.parent / entry, file.parent / inside, file.parent / tail)
    with contextlib.suppress(OSError):
        return next((path for path in candidates if path.exists() and path.resolve() != file.parent.resolve()), None)
    return None


def _source(path: Path, names: Path) -> DataSource:
    if path.is_file():  # a list of images
        return DataSource(format=DataFormat.YOLO, images=path.parent, annotations=names, split=path)
    inner = path / "images"
    images = inner if inner.is_dir() else path
    return DataSource(format=DataFormat.YOLO, images=images, annotations=names)


def _by_folders(folder: Path, names: Path | None = None) -> Pair | None:
    found = [place for place in folders_of(folder) if _has_labelled_image(place)]
    names = names or _names_beside(folder)
    if not found:
        return None
    if names is None:
        raise DataError(
            f"{folder}: {found[0].relative_to(folder)}/ looks like YOLO data, but no file names its classes; "
            f"write {folder / 'data.yaml'} with a line `names: [first, second, …]` and `train: …`, or a classes.txt"
        )
    by_role = {role: [place for place in found if _role(place, folder) is role] for role in (*Role, None)}

    def source(place: Path) -> DataSource:
        return DataSource(format=DataFormat.YOLO, images=place, annotations=names)

    train = only_source(by_role[Role.TRAINING] or by_role[None], Role.TRAINING, folder, source)
    if train is None:
        refuse_without_training(found, folder, source)
        return None
    return train, only_source(by_role[Role.VALIDATION], Role.VALIDATION, folder, source)


def _role(place: Path, folder: Path) -> Role | None:
    return None if place == folder else role_of(place, folder)


def _names_beside(folder: Path) -> Path | None:
    places = folders_of(folder, levels=2)
    return next((file for place in places for name in TEXT_FILES if (file := place / name).is_file()), None)


def _has_labelled_image(place: Path) -> bool:
    """Whether one of the first images has a label file that looks like one."""
    with contextlib.suppress(OSError):
        images = itertools.islice((file for file in sorted(place.iterdir()) if is_image(file.name)), 20)
        return any(_looks_like_labels(label_file(image)) for image in images)
    return False


def _looks_like_labels(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            lines = opened.read(HEAD_BYTES).decode("utf-8-sig", "replace").splitlines()
    except OSError:
        return False
    return bool(lines) and _LABEL.fullmatch(lines[0]) is not None
