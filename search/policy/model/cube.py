"""A study's space as a unit cube: one share in [0, 1] for each parameter, and the coordinates that a model sees.

Numbers lie on their own scale, logarithmic where the space says so; whole numbers and choices of numbers in the middle
of their part of the range. A choice of texts has a coordinate for each text. A parameter that a point doesn't have
lies in the middle. Shapes: n points, p parameters, d coordinates.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spaces.catalogue import DEFINITIONS, Condition
from spaces.faster_rcnn import Space
from spaces.parameters import Categorical, Fixed, Float, Int, Value, at_share, values_of

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Places = NDArray[np.intp]
MIDDLE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One parameter of the cube."""

    name: str
    parameter: Float | Int | Categorical
    needs: Condition | None
    values: tuple[Value, ...]  # all that it can be, numbers ascending; empty where it is a range
    is_text: bool  # a choice that has no order

    @classmethod
    def of(cls, name: str, parameter: Float | Int | Categorical) -> "Side":
        """The side of that parameter."""
        is_range = isinstance(parameter, Int) and parameter.log
        values = () if isinstance(parameter, Float) or is_range else values_of(parameter)
        is_text = any(isinstance(value, str) for value in values)
        ordered = values if is_text else tuple(sorted(values))
        return cls(name=name, parameter=parameter, needs=DEFINITIONS[name].needs, values=ordered, is_text=is_text)

    def share(self, value: Value) -> float:
        """Where the value lies."""
        if self.values or isinstance(self.parameter, Categorical):
            return (self.values.index(value) + MIDDLE) / len(self.values)
        number, low, high = float(value), float(self.parameter.low), float(self.parameter.high)
        if self.parameter.log:
            number, low, high = math.log(number), math.log(low), math.log(high)
        return min(max((number - low) / (high - low), 0.0), 1.0)

    def value(self, share: float) -> Value:
        """What lies there."""
        if self.values or isinstance(self.parameter, Categorical):
            return self.values[int(self.places(np.array([share]))[0])]
        if isinstance(self.parameter, Float):
            return at_share(self.parameter, share)
        low, high = self.parameter.low, self.parameter.high
        return min(max(round(low * (high / low) ** share), low), high)

    def places(self, shares: Array) -> Places:
        """Which of the values lie at shares [n]."""
        return np.minimum((shares * len(self.values)).astype(np.intp), len(self.values) - 1)

    def settled(self, shares: Array) -> Array:
        """The shares [n], those of a value in the middle of its part."""
        return (self.places(shares) + MIDDLE) / len(self.values) if self.values else shares


class Cube:
    """Any number of sides; parents stand before their children. Fixed parameters are no side."""

    def __init__(self, sides: Sequence[Side], fixed: Mapping[str, Value]) -> None:
        self.sides = tuple(sides)
        self._fixed = fixed
        self._place = {side.name: place for place, side in enumerate(self.sides)}

    @classmethod
    def of(cls, space: Space) -> "Cube":
        """The cube of that space."""
        varying = {name: one for name, one in space.parameters.items() if not isinstance(one, Fixed)}
        return cls([Side.of(name, one) for name, one in varying.items()], space.fixed())

    def shares(self, values: Mapping[str, Value]) -> Array:
        """Where a point lies [p]; the middle for parameters that it doesn't have."""
        return np.array([side.share(values[side.name]) if side.name in values else MIDDLE for side in self.sides])

    def point(self, shares: Array) -> dict[str, Value]:
        """The point at shares [p], as a space suggests it."""
        there = self.active(shares[None])[0]
        return {
            side.name: side.value(float(share))
            for side, share, is_there in zip(self.sides, shares, there, strict=True)
            if is_there
        }

    def coordinates(self, shares: Array) -> Array:
        """What a model sees [n, d] of the points at shares [n, p]."""
        active = self.active(shares)
        columns: list[Array] = []
        for place, side in enumerate(self.sides):
            column = np.where(active[:, place], side.settled(shares[:, place]), MIDDLE)
            columns += self._texts(side, column, active[:, place]) if side.is_text else [column]
        return np.stack(columns, axis=1)

    def active(self, shares: Array) -> Flags:
        """Which parameters exist [n, p] at shares [n, p]; parents stand before their children."""
        active = np.ones(shares.shape, dtype=bool)
        for place, side in enumerate(self.sides):
            if side.needs is not None:
                active[:, place] = self._holds(side.needs, shares, active)
        return active

    def _holds(self, needs: Condition, shares: Array, active: Flags) -> Flags:
        if needs.parameter in self._fixed:
            return np.full(len(shares), needs.holds(self._fixed[needs.parameter]))
        if needs.parameter not in self._place:  # explicit lists stand in its place
            return np.zeros(len(shares), dtype=bool)
        place = self._place[needs.parameter]
        parent = self.sides[place]  # it counts or chooses something
        holds = np.array([needs.holds(value) for value in parent.values])
        return holds[parent.places(shares[:, place])] & active[:, place]

    @staticmethod
    def _texts(side: Side, column: Array, active: Flags) -> list[Array]:
        chosen = side.places(column)
        return [np.where(active, (chosen == number).astype(float), MIDDLE) for number in range(len(side.values))]
