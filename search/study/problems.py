"""Checks a document against frozen dataclasses, and says what is wrong in one line for each problem."""

import json
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from typing import Any, TypeVar, get_args, get_type_hints

from pydantic import TypeAdapter, ValidationError

from detector.config import ConfigError
from detector.whole_number import way_out
from search.study.document import StudyFileError
from search.study.fields import plain_name
from spaces.section import SpaceError

T = TypeVar("T")

_WHOLE_NUMBER = ("int_type", "int_from_float", "int_parsing")
_RULES = dict.fromkeys(_WHOLE_NUMBER, "must be a whole number") | {
    "json_invalid": "holds text that is no valid Unicode",
    "float_type": "must be a number",
    "float_parsing": "must be a number such as 0.5",
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
_SECTION = ("dict_type", "dataclass_type")
_SECRET = "storage"  # its URL may hold a password: never shown
_SHOWN_CHARACTERS = 60
_LEAST_LIKENESS = 0.5  # of a key to one that is called the nearest


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


def rule_and_value(problem: Any, *, secret: bool = False) -> str:
    """One of pydantic's problems in our words: the rule, the value unless it is secret, and what to write instead."""
    kind, context, value = problem["type"], problem.get("ctx", {}), problem["input"]
    if kind in ("enum", "literal_error"):
        rule = f"must be one of {context['expected'].replace(chr(39), '')}"
    elif kind in _BOUNDS:
        words, bound = _BOUNDS[kind]
        rule = f"{words} {context[bound]}"
    else:
        rule = _RULES.get(kind, problem["msg"])
    if secret:
        return rule
    instead = _instead(kind, value)
    return f"{rule}, but is {_shown(value)}" + (f"; {instead}" if instead else "")


def nearest_key(key: str, known: list[str]) -> str:
    """The known key that is most like the one given; all of them where none is."""
    near = get_close_matches(key, known, n=1, cutoff=_LEAST_LIKENESS)
    return f"the nearest is {near[0]}" if near else f"those that there are: {', '.join(known)}"


def _instead(kind: str, value: object) -> str:
    if kind in _WHOLE_NUMBER:
        return way_out(value)
    if kind == "string_pattern_mismatch" and (name := plain_name(str(value))):
        return f"write {name}"
    return ""


def _lines(model: type, problem: Any) -> list[str]:
    location: tuple[str | int, ...] = problem["loc"]
    where = ".".join(str(step) for step in location)
    cause = problem.get("ctx", {}).get("error")
    if isinstance(cause, SpaceError):
        return [f"{where}.{key}: {message}" for key, message in cause.problems]
    message = str(cause) if isinstance(cause, ConfigError) else _message(model, problem, location)
    return [f"{where}: {message}" if where else message]


def _message(model: type, problem: Any, location: tuple[str | int, ...]) -> str:
    kind = problem["type"]
    if kind == "unexpected_keyword_argument":
        return f"there is no such key{_elsewhere(model, location)}"
    if kind in ("missing", "missing_argument", "missing_keyword_only_argument"):
        return f"is missing, and has no default; add `{location[-1]}: …`"
    message = rule_and_value(problem, secret=_SECRET in location or not location)
    if kind in _SECTION:
        return f"{message}; its keys are {', '.join(_known_keys(model, (*location, '')))}"
    return message


def _elsewhere(model: type, location: tuple[str | int, ...]) -> str:
    """Where the key belongs, or the nearest one here."""
    key, hints = str(location[-1]), get_type_hints(model)
    usual = [field.name for field in fields(model) if field.default is not None]  # not what only a program writes
    sections = [name for name in usual if name not in location and key in _fields(hints[name])]
    if len(sections) == 1:
        return f" here; it belongs in the section `{sections[0]}`"
    return f"; {nearest_key(key, _known_keys(model, location))}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"


def _known_keys(model: type, location: tuple[str | int, ...]) -> list[str]:
    """The keys of the section in which the last step of the location stands."""
    for step in location[:-1]:
        model = model_of(get_type_hints(model)[str(step)]) or model
    return [field.name for field in fields(model)]


def _fields(hint: Any) -> list[str]:
    model = model_of(hint)
    return [field.name for field in fields(model)] if model else []


def model_of(hint: Any) -> Any:
    """The dataclass that the type of a section stands for, or None."""
    return next((kind for kind in (hint, *get_args(hint)) if isinstance(kind, type) and is_dataclass(kind)), None)
