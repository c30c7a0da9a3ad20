"""The `space` section of a study file: a space from plain values, and back.

lr_per_16: 0.01                               fixed
batch_size: [4, 8]                            choices
momentum: {low: 0.85, high: 0.95}             a range; what is left out stays as it was
anchors: {sizes_px: [128, 256], ratios: [1]}  explicit anchors: a flat list is the same on each level,
                                              a nested one holds one list for each of P2 to P6
"""

import re
from collections.abc import Mapping
from dataclasses import asdict
from difflib import get_close_matches
from typing import Any, assert_never

from detector.config import LEVELS, Anchors, ConfigError, require
from detector.whole_number import way_out
from spaces.catalogue import DEFINITIONS, Definition
from spaces.faster_rcnn import ANCHOR_PARAMETERS, Space
from spaces.parameters import Categorical, Fixed, Float, Int, Parameter, Value, is_number

ANCHORS = "anchors"
_NUMBER = re.compile(r"[-+]?[0-9.]+([eE][-+]?[0-9]+)?")


class SpaceError(ConfigError):
    """What is wrong with a section, as (key, message) pairs; all of it, not only the first."""

    def __init__(self, problems: tuple[tuple[str, str], ...]) -> None:
        super().__init__("; ".join(f"{key}: {message}" for key, message in problems))
        self.problems = problems


def parse(section: Mapping[str, object], base: Space | None = None) -> Space:
    """The base space (the default one unless given) with the section's entries in place of its own.

    Raises:
        SpaceError: an unknown name, a range that is none, a value beyond the limits of validity.
    """
    space = base or Space.default()
    parameters: dict[str, Parameter] = {}
    anchors = None
    problems = []
    for name, entry in section.items():
        try:
            if name == ANCHORS:
                anchors = _parse_anchors(entry)
                both = [key for key in section if key in ANCHOR_PARAMETERS]
                require(not both, f"explicit anchors replace {', '.join(both)}; give one of them")
            else:
                definition = _definition(name)
                parameters[name] = _parse_parameter(name, entry, space.parameters.get(name, definition.default))
        except ConfigError as error:
            problems.append((str(name), str(error)))
    if problems:
        raise SpaceError(tuple(problems))
    return space.replaced(parameters, anchors)


def write(space: Space) -> dict[str, Any]:
    """Plain values that `parse` reads back as the same space."""
    section: dict[str, Any] = {}
    if space.anchors is not None:
        section[ANCHORS] = {
            "sizes_px": [list(sizes) for sizes in space.anchors.sizes_px],
            "ratios": list(space.anchors.ratios),
        }
    return section | {name: write_parameter(parameter) for name, parameter in space.parameters.items()}


def write_parameter(parameter: Parameter) -> Any:
    """The entry of one parameter: a value, a list, or a mapping of low and high."""
    match parameter:
        case Fixed():
            return parameter.value
        case Categorical():
            return list(parameter.values)
        case Float() | Int():
            return asdict(parameter)
        case _:
            assert_never(parameter)


def _definition(name: str) -> Definition:
    if name in DEFINITIONS:
        return DEFINITIONS[name]
    close = get_close_matches(str(name), [*DEFINITIONS, ANCHORS], n=1, cutoff=0)
    raise ConfigError(f"there is no such parameter; the nearest is {close[0]}")


def _parse_parameter(name: str, entry: object, current: Parameter) -> Parameter:
    definition = DEFINITIONS[name]
    match entry:
        case Mapping():
            return _parse_range(name, entry, current if isinstance(current, Float | Int) else definition.default)
        case list() | tuple():
            return Categorical(values=tuple(_value(name, value) for value in entry))
        case _:
            return Fixed(value=_value(name, entry))


def _parse_range(name: str, entry: Mapping[object, object], current: Parameter) -> Parameter:
    if not isinstance(current, Float | Int):
        raise ConfigError("has no range: give one value, or a list of the values to try")
    known = {"low", "high", "log"} | ({"step"} if isinstance(current, Int) else set())
    for key in entry:
        require(key in known, f"a range has {', '.join(sorted(known))}, but not {key!r}")
    log = entry.get("log", current.log)
    require(isinstance(log, bool), f"log must be true or false, but is {log!r}")
    low, high = (_value(name, entry.get(key, getattr(current, key))) for key in ("low", "high"))
    if isinstance(current, Float):
        return Float(low=float(low), high=float(high), log=bool(log))
    step: Any = entry.get("step", current.step)
    return Int(low=int(low), high=int(high), step=step, log=bool(log))


def _value(name: str, value: object) -> Value:
    """The value if it has the parameter's type and lies within its limits."""
    definition = DEFINITIONS[name]
    lowest, highest = definition.limits
    if isinstance(definition.reference, str):
        options = definition.default.values if isinstance(definition.default, Categorical) else ()
        require(value in options, f"must be one of {', '.join(map(str, options))}, but is {value!r}")
        return str(value)
    quoted = "; write it without quotes" if isinstance(value, str) and _NUMBER.fullmatch(value) else ""
    require(is_number(value), f"must be a finite number, a list of choices or {{low, high}}, but is {value!r}{quoted}")
    number: Any = value
    require(lowest <= number <= highest, f"must lie in [{lowest:g}, {highest:g}], but is {number}")
    if isinstance(definition.reference, int):
        require(isinstance(number, int), f"must be a whole number, but is {number}; {way_out(number)}")
        return int(number)
    return float(number)


def _parse_anchors(entry: object) -> Anchors:
    if not isinstance(entry, Mapping) or set(entry) != {"sizes_px", "ratios"}:
        raise ConfigError(f"needs exactly sizes_px and ratios, each a list, but is {entry!r}")
    sizes, ratios = entry["sizes_px"], entry["ratios"]
    nested = isinstance(sizes, list | tuple) and bool(sizes) and all(isinstance(level, list | tuple) for level in sizes)
    levels = [_numbers("sizes_px", level) for level in sizes] if nested else [_numbers("sizes_px", sizes)] * LEVELS
    return Anchors(sizes_px=tuple(levels), ratios=_numbers("ratios", ratios))


def _numbers(name: str, values: object) -> tuple[float, ...]:
    if not isinstance(values, list | tuple) or not values or not all(is_number(value) for value in values):
        raise ConfigError(f"{name} must be a list of numbers, but is {values!r}")
    return tuple(float(value) for value in values)
