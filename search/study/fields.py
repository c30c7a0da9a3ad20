"""Types of a study file's values that the sections share: how they are read, checked and written."""

import os
import re
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, PlainSerializer

from detector.config import require
from trial.counts import COUNT_LIMIT

_HALVES = re.compile("[\ud800-\udfff]")  # in place of bytes that are no UTF-8
MOST_NAME = 100  # characters of a study's name
STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)


def _from_auto(value: object) -> object:
    return None if value in ("auto", "all") else value


def write_auto(value: Any) -> Any:
    """The value, or `auto` where there is none."""
    return "auto" if value is None else value


def _write_all(value: Any) -> Any:
    return "all" if value is None else value


def _check_path(path: Path) -> Path:
    require("\0" not in str(path), "a path must not hold a NUL character")
    return path


def is_text(text: str) -> bool:
    """Whether a file or a database can keep it: no byte of it was no UTF-8."""
    return not _HALVES.search(text)


def plain_name(text: str) -> str:
    """The text as far as the name of a study allows it, with `-` in place of the rest; empty where nothing is left."""
    return re.sub(r"[^A-Za-z0-9._ -]+|^[._ -]+", "-", text).strip("-")[:MOST_NAME]


def absolute_path(path: Path, folder: Path) -> Path:
    """The path taken from the folder unless it is absolute; `~` is the user's home.

    Raises:
        ConfigError: its name is no text, so that neither a file nor a database could keep it.
    """
    whole = os.path.abspath(folder / os.path.expanduser(path))
    require(is_text(whole), f"a path must be UTF-8 text, but {whole!r} is not; rename the folder or file")
    return Path(whole)


T = TypeVar("T")
Positive = Annotated[int, Field(ge=1, lt=COUNT_LIMIT)]
Auto = Annotated[T | None, BeforeValidator(_from_auto), PlainSerializer(write_auto)]
All = Annotated[T | None, BeforeValidator(_from_auto), PlainSerializer(_write_all)]
SafePath = Annotated[Path, AfterValidator(_check_path)]
