"""The names of YOLO's classes: in a data.yaml of Ultralytics, or one a line in a text file, as Darknet has them."""

from pathlib import Path
from typing import Any

import yaml

from detector.data.formats.annotation import DataError

MOST_BYTES = 1 << 20
TEXT_FILES = ("classes.txt", "obj.names", "classes.names", "_darknet.labels", "labels.txt", "predefined_classes.txt")


def class_names(file: Path) -> tuple[dict[int, str], bytes]:
    """The name of each class number, and the bytes of the file.

    Raises:
        DataError: the file can't be read, or names no class.
    """
    content = _content(file)
    if file.suffix.casefold() in {".yaml", ".yml"}:
        names = _as_numbers(yaml_document(file).get("names"))
    else:
        lines = [line.strip() for line in content.decode("utf-8-sig", "replace").splitlines()]
        names = dict(enumerate(line for line in lines if line))
    if not names:
        raise DataError(f"{file}: names no class; give `names` as a list, or as a map from number to name")
    if len(set(names.values())) < len(names):
        raise DataError(f"{file}: two classes have the same name; merge or rename them")
    return names, content


def yaml_document(file: Path) -> dict[str, Any]:
    """The map that a YAML file holds.

    Raises:
        DataError: it can't be read, or holds something else.
    """
    try:
        document = yaml.safe_load(_content(file))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise DataError(f"{file}: not valid YAML: {str(error)[:200]}") from error
    if not isinstance(document, dict):
        raise DataError(f"{file}: must hold a map with `names` and `train`, as Ultralytics writes it")
    return document


def _as_numbers(names: object) -> dict[int, str]:
    pairs = (
        list(names.items()) if isinstance(names, dict) else list(enumerate(names if isinstance(names, list) else []))
    )
    return {int(number): str(name) for number, name in pairs if str(number).isdecimal() and len(str(number)) < 9}


def _content(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            content = opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise DataError(f"{file}: the file with the names of classes can't be read: {error}") from error
    if len(content) > MOST_BYTES:
        raise DataError(f"{file}: too large for a file with names of classes; is it the right one?")
    return content
