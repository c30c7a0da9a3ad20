"""What one hyperparameter may be: a range of numbers, a list of choices, or one fixed value.

Named as Optuna names them, of which nothing here knows: `suggest` asks whatever looks like its trial (`Suggest`).
"""

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeGuard, assert_never

from detector.config import require

Value = int | float | str


def three_digits(value: float) -> float:
    """The value as it is proposed to a person: rounded to three significant digits."""
    return float(f"{value:.3g}")


def is_number(value: object) -> TypeGuard[float]:
    """Whether it is a number that a float can be, finite; `True` is none."""
    largest = sys.float_info.max  # by comparison: a whole number may be too large to be made a float
    return isinstance(value, int | float) and not isinstance(value, bool) and -largest <= value <= largest


@dataclass(frozen=True, slots=True, kw_only=True)
class Float:
    """Every number from `low` to `high`, both included; with `log`, each factor is equally likely."""

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        _check_range(self.low, self.high, log=self.log)

    def contains(self, value: object) -> bool:
        """Whether the value lies in the range; rounding at its ends (1e-9 of the value) is forgiven."""
        if not is_number(value):
            return False
        number = float(value)
        nearest = min(max(number, self.low), self.high)
        return math.isclose(number, nearest, rel_tol=1e-9, abs_tol=1e-12)


@dataclass(frozen=True, slots=True, kw_only=True)
class Int:
    """The whole numbers low, low + step, … up to `high`; with `log`, each factor is equally likely."""

    low: int
    high: int
    step: int = 1
    log: bool = False

    def __post_init__(self) -> None:
        for name in ("low", "high", "step"):
            value = getattr(self, name)
            require(
                isinstance(value, int) and not isinstance(value, bool), f"{name} must be a whole number, not {value!r}"
            )
        _check_range(self.low, self.high, log=self.log)
        require(self.step >= 1, f"step must be at least 1, but is {self.step}")
        require(not self.log or self.step == 1, f"log and step exclude each other, but step is {self.step}")
        require(
            (self.high - self.low) % self.step == 0,
            f"high must be low plus a multiple of step, but low={self.low}, high={self.high}, step={self.step}",
        )

    def contains(self, value: object) -> bool:
        """Whether the value is one of the numbers."""
        if not isinstance(value, int) or isinstance(value, bool):
            return False
        return self.low <= value <= self.high and (value - self.low) % self.step == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Categorical:
    """One of the values listed."""

    values: tuple[Value, ...]

    def __post_init__(self) -> None:
        require(bool(self.values), "at least one choice is needed, but the list is empty; give the values to try")
        for value in self.values:
            require(
                isinstance(value, str) or is_number(value), f"a choice must be a finite number or text, not {value!r}"
            )
        require(len(set(self.values)) == len(self.values), f"choices must differ, but are {list(self.values)}")

    def contains(self, value: object) -> bool:
        """Whether the value is one of those listed."""
        return not isinstance(value, bool) and value in self.values


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed:
    """Always this value; the sampler never hears of it."""

    value: Value

    def __post_init__(self) -> None:
        value = self.value
        require(
            isinstance(value, str) or is_number(value), f"a fixed value must be a finite number or text, not {value!r}"
        )

    def contains(self, value: object) -> bool:
        """Whether the value is this one."""
        return not isinstance(value, bool) and value == self.value


Parameter = Float | Int | Categorical | Fixed


class Suggest(Protocol):
    """Proposes values, as `optuna.trial.Trial` does."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float: ...

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int: ...

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any: ...


def suggest(parameter: Parameter, name: str, trial: Suggest) -> Value:
    """The trial's value of the parameter; a fixed one is returned without asking the trial."""
    match parameter:
        case Float():
            return trial.suggest_float(name, parameter.low, parameter.high, log=parameter.log)
        case Int():
            return trial.suggest_int(name, parameter.low, parameter.high, step=parameter.step, log=parameter.log)
        case Categorical():
            value: Value = trial.suggest_categorical(name, parameter.values)
            return value
        case Fixed():
            return parameter.value
        case _:
            assert_never(parameter)


def nearest(parameter: Parameter, value: Value) -> Value:
    """The value that the parameter can take which lies nearest to the one given.

    Among choices the numerically nearest, the first when they are text and the value is not listed.
    """
    match parameter:
        case Float():
            return min(max(_number(value), parameter.low), parameter.high)
        case Int():
            steps = round((_number(value) - parameter.low) / parameter.step)
            return min(max(parameter.low + steps * parameter.step, parameter.low), parameter.high)
        case Categorical():
            if parameter.contains(value) or any(isinstance(v, str) for v in (value, *parameter.values)):
                return value if parameter.contains(value) else parameter.values[0]
            return min(parameter.values, key=lambda choice: abs(_number(choice) - _number(value)))
        case Fixed():
            return parameter.value
        case _:
            assert_never(parameter)


def at_share(parameter: Parameter, share: float) -> Value:
    """The value that lies at a share of the way from the lowest (0) to the highest (1), as the parameter counts it."""
    if isinstance(parameter, Float):
        if parameter.log:
            return min(max(parameter.low * (parameter.high / parameter.low) ** share, parameter.low), parameter.high)
        return parameter.low + share * (parameter.high - parameter.low)
    values = values_of(parameter)
    return values[min(int(share * len(values)), len(values) - 1)]


def values_of(parameter: Int | Categorical | Fixed) -> tuple[Value, ...]:
    """Every value that the parameter can take, in order."""
    match parameter:
        case Int():
            return tuple(range(parameter.low, parameter.high + 1, parameter.step))
        case Categorical():
            return parameter.values
        case Fixed():
            return (parameter.value,)
        case _:
            assert_never(parameter)


def _check_range(low: float, high: float, *, log: bool) -> None:
    for name, value in (("low", low), ("high", high)):
        require(is_number(value), f"{name} must be a finite number, but is {value!r}")
    require(low < high, f"low must be less than high, but low={low}, high={high}; a single value fixes the parameter")
    require(not log or low > 0, f"a logarithmic range needs low > 0, but low={low}; raise it or set log: false")


def _number(value: Value) -> float:
    require(is_number(value), f"a number is needed, not {value!r}")
    return float(value)
