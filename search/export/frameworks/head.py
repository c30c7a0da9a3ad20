"""The comment with which every exported file begins: where it comes from, how it is trained, and what it cannot say."""

from collections.abc import Iterator

from search.export.frameworks.fidelity import Fidelity, Level, values_of
from search.export.frameworks.recipe import Recipe
from search.terminal import visible

WRITTEN = "Written by `frcnn-search export`"  # by which a file of ours is known
_WIDTH = 110


def head(recipe: Recipe, fidelity: Fidelity, *, format: str, title: str, version: str, command: str) -> str:
    """The head of the first file of a format, in comments that begin with `#`."""
    return "".join(f"# {line}".rstrip() + "\n" for line in _lines(recipe, fidelity, format, title, version, command))


def short_head(first: str) -> str:
    """The head of the other files."""
    return f"# {WRITTEN}, together with {one_line(first)}, which says from what.\n\n"


def one_line(text: object) -> str:
    """Text of the user's as it may stand in a comment of any language: without line breaks and control characters."""
    return " ".join(visible(str(text)).split())


def schedule_text(recipe: Recipe) -> str:
    """How long the training is."""
    return f"{recipe.images} images = {recipe.iterations} iterations of {recipe.batch_size}"


def _lines(recipe: Recipe, fidelity: Fidelity, format: str, title: str, version: str, command: str) -> Iterator[str]:
    origin = recipe.configuration.provenance
    error = "" if origin.ap_error is None else f" ± {origin.ap_error:.3f}"
    yield f"{WRITTEN} --format {format}; the next export replaces it, so copy it before you change it."
    yield ""
    ap = f"AP {origin.ap:.3f}{error} after {origin.images} images"
    yield f"Study {one_line(origin.study)}, trial {origin.trial}: {ap}."
    yield f"Canvas {recipe.configuration.detector.canvas}; schedule: {schedule_text(recipe)}."
    yield f"Tried with {title} {version}. Train it, in this folder: {command}"
    values = values_of(recipe.configuration)
    by_level = {level: [key for key in values if fidelity[key].level is level] for level in Level}
    yield ""
    yield "exact:"
    yield from _folded(by_level[Level.EXACT])
    for level in (Level.APPROXIMATE, Level.NOT_EXPRESSED):
        yield f"{level}:" if by_level[level] else f"{level}: nothing"
        for key in by_level[level]:
            yield f"  {key} = {one_line(values[key])}: {one_line(fidelity[key].text)}"
    yield ""


def _folded(words: list[str]) -> Iterator[str]:
    line = " "
    for word in words:
        if len(line) + len(word) > _WIDTH:
            yield line
            line = " "
        line += f" {word}"
    yield line
