"""What a format is: the files that it leaves, and how much of the configuration they say."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from search.export.frameworks.fidelity import Fidelity
from search.export.frameworks.recipe import Recipe

Texts = Mapping[str, str]  # of files, without their heads, by name


@dataclass(frozen=True, slots=True, kw_only=True)
class Framework:
    """One format of `export`. The first of its files is the one that `--output` may name otherwise."""

    format: str
    title: str
    version: str  # that the files were tried with
    files: tuple[str, ...]
    command: Callable[[Recipe, str], str]  # that trains, by the name of the first file
    fidelity: Callable[[Recipe], Fidelity]  # raises ConfigError where the files would say another detector
    texts: Callable[[Recipe, str], Texts]  # of the recipe and the name of the first file
