"""The study file that a command is about, and the study that it names."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from glob import escape, glob
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from detector.config import ConfigError

if TYPE_CHECKING:
    from search.study.specification import Specification
    from storage.study import StoredStudy


def yaml_files(incomplete: str) -> list[str]:
    """The YAML files that the shell offers for what was typed so far; none where it is to offer any file by itself.

    Names that must be quoted are the shell's own business.
    """
    found = (name for suffix in ("yaml", "yml") for name in glob(f"{escape(incomplete)}*.{suffix}"))
    return sorted(name for name in found if name == shlex.quote(name))


StudyFile = Annotated[Path, typer.Argument(metavar="STUDY_FILE", help="The study file.", autocompletion=yaml_files)]


@contextmanager
def opened(study_file: Path) -> Iterator[tuple["Specification", "StoredStudy"]]:
    """The study that the file describes, as it lies in its database, which must exist."""
    from search.study.study_file import load_study_file
    from storage.connection.address import Address
    from storage.connection.database import Database
    from storage.study import find_study

    specification = load_study_file(study_file)
    path = Address.parse(specification.storage).path
    if path is not None and not path.exists():
        raise ConfigError(
            f"{path}: there is no such study yet; begin with `frcnn-search launch {shlex.quote(str(study_file))}`, or, "
            f"if the study file was moved, move {path.name} beside it"
        )
    with Database.open(specification.storage) as database:
        yield specification, find_study(database, specification.name)
