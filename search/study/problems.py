"""Checks a document against frozen dataclasses, and says what is wrong in one line for each problem."""

import json
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from typing import Any, TypeVar, get_args, get_type_hints

from pydantic import TypeAdapter, ValidationError

from detector.config import ConfigError
from search.study.document import StudyFileError
from spaces.section import SpaceError

T = TypeVar("T")

_RULES = {
    "json_invalid": "holds text that is no valid Unicode",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "string_type": "must be text",
    "string_pattern_mismatch": "must begin with a letter or digit and go on with those, spaces or `.`, `_`, `-`",
    "path_type": "must be a path",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "dict_type": "must be a section of `key: value` lines",
    "dataclass_type": "must be a section of `key: value` lines",
}
_BOUNDS = {
    "greater_than_equal": ("must be at least", "ge"),
    "greater_than": ("must be more than", "gt"),
    "less_than_equal": ("must be at most", "le"),
    "less_than": ("must be less than", "lt"),
}
_SECRET = "storage"  # its URL may hold a password: never shown
_SHOWN_CHARACTERS = 60


def validate(adapter: TypeAdapter[T], model: type, document: object, source: str) -> T:
    """The document as an instance of the model, types taken strictly.

    Raises:
        StudyFileError: one line for each problem, with where it is: `study.yaml: detector.canvas: …`.
    """
    try:
        # Strict JSON still takes "sgd" for an enum, a list for a tuple and text for a path. Strict Python does not:
        # each such field, also of the detector's plain dataclasses, would need an annotation of pydantic's.
        return adapter.validate_json(json.dumps(document), strict=True)
    except ValidationError as error:
        lines = [line for problem in error.errors() for line in _lines(model, problem)]
    except TypeError as error:
        lines = [str(error)]
    except OverflowError:  # in one of the detector's own rules
        lines = ["holds a number that is too large for any setting"]
    raise StudyFileError("\n".join(f"{source}: {line}" for line in lines)) from None


def nearest_key(key: str, known: list[str]) -> str:
    """The known key that is most like the one given."""
    return get_close_matches(key, known, n=1, cutoff=0)[0]


def _lines(model: type, problem: Any) -> list[str]:
    location: tuple[str | int, ...] = problem["loc"]
    where = ".".join(str(step) for step in location)
    cause = problem.get("ctx", {}).get("error")
    if isinstance(cause, SpaceError):
        return [f"{where}.{key}: {message}" for key, message in cause.problems]
    message = str(cause) if isinstance(cause, ConfigError) else _message(model, problem, location)
    return [f"{where}: {message}" if where else message]


def _message(model: type, problem: Any, location: tuple[str | int, ...]) -> str:
    kind, context = problem["type"], problem.get("ctx", {})
    if kind == "unexpected_keyword_argument":
        return f"there is no such key; the nearest is {nearest_key(str(location[-1]), _known_keys(model, location))}"
    if kind in ("missing", "missing_argument", "missing_keyword_only_argument"):
        return "is missing, and has no default"
    if kind in ("enum", "literal_error"):
        rule = f"must be one of {context['expected'].replace(chr(39), '')}"
    elif kind in _BOUNDS:
        words, bound = _BOUNDS[kind]
        rule = f"{words} {context[bound]}"
    else:
        rule = _RULES.get(kind, problem["msg"])
    return rule if _SECRET in location or not location else f"{rule}, but is {_shown(problem['input'])}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"


def _known_keys(model: type, location: tuple[str | int, ...]) -> list[str]:
    """The keys of the section in which the last step of the location stands."""
    for step in location[:-1]:
        hint = get_type_hints(model)[str(step)]
        model = next(kind for kind in (hint, *get_args(hint)) if isinstance(kind, type) and is_dataclass(kind))
    return [field.name for field in fields(model)]
