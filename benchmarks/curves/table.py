"""The recorded trainings of one dataset as a table that is searched: proposals become the nearest configuration."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from benchmarks.curves.curve import Curve, CurveReading
from search.policy.model.cube import Cube
from spaces.faster_rcnn import Space
from spaces.parameters import Value

Array = NDArray[np.float64]


class CurveTable:
    """Configurations by number, each with its trainings."""

    def __init__(self, curves: Iterable[Curve], space: Space) -> None:
        self._of: dict[int, list[Curve]] = defaultdict(list)
        for curve in curves:
            self._of[curve.configuration].append(curve)
        self._cube = Cube.of(space)
        self.numbers = tuple(sorted(self._of))
        self._places = self._cube.coordinates(np.array([self._cube.shares(self.parameters(n)) for n in self.numbers]))

    def parameters(self, number: int) -> dict[str, Value]:
        """What that configuration is."""
        return dict(self._of[number][0].parameters)

    def number_of(self, parameters: Mapping[str, Value]) -> int:
        """The configuration with exactly these parameters.

        Raises:
            KeyError: there is none.
        """
        return self._numbers[tuple(sorted(parameters.items()))]

    def nearest(self, parameters: Mapping[str, Value], *, without: Collection[int]) -> int | None:
        """The configuration nearest to a point of the space, of those that were not tried; None where none is left."""
        place = self._cube.coordinates(self._cube.shares(parameters)[None])
        distances = ((self._places - place) ** 2).sum(axis=1)
        left = (self.numbers[row] for row in np.argsort(distances, kind="stable"))
        return next((number for number in left if number not in without), None)

    def curve(self, number: int, seed: int) -> Curve:
        """One of its trainings."""
        trainings = self._of[number]
        return trainings[seed % len(trainings)]

    def quality(self, number: int) -> float:
        """AP in full, the mean of its trainings; 0 where one ended before."""
        finals = [curve.readings[-1].metrics["ap"] if _is_whole(curve) else 0.0 for curve in self._of[number]]
        return float(np.mean(finals))

    def regret(self, number: int | None) -> float:
        """0 for the best configuration, 1 for the median one; without any it is 1."""
        return 1.0 if number is None else (self._best - self.quality(number)) / (self._best - self._median)

    @cached_property
    def training_s(self) -> float:
        """What a full training takes, with the evaluation at its end: the median of those that came to it."""
        whole = [curve for trainings in self._of.values() for curve in trainings if _is_whole(curve)]
        return float(np.median([sum(r.training_s for r in c.readings) + c.readings[-1].evaluation_s for c in whole]))

    def random_regret(self, trainings: int) -> float:
        """Expected regret of the best of so many full trainings at random, each of another configuration."""
        falling = sorted((self.quality(number) for number in self.numbers), reverse=True)
        left, expected = 1.0, 0.0
        for place, quality in enumerate(falling):
            share = trainings / (len(falling) - place)  # that the best one left is among those that were drawn
            chance = left * min(1.0, share)
            expected += chance * (self._best - quality) / (self._best - self._median)
            left -= chance
        return expected

    @cached_property
    def _numbers(self) -> dict[tuple[tuple[str, Value], ...], int]:
        return {tuple(sorted(self.parameters(number).items())): number for number in self.numbers}

    @cached_property
    def _best(self) -> float:
        return max(map(self.quality, self.numbers))

    @cached_property
    def _median(self) -> float:
        return float(np.median([self.quality(number) for number in self.numbers]))


def _is_whole(curve: Curve) -> bool:
    return curve.outcome == "complete"


def reading_at(curve: Curve, images: int) -> CurveReading | None:
    """The first reading after so many images; None where the training ended before."""
    return next((reading for reading in curve.readings if reading.images >= images), None)


def training_s(curve: Curve, *, since: int, until: int) -> float:
    """What the training took between two counts of images, as it went on or until it ended."""
    return sum(reading.training_s for reading in curve.readings if since < reading.images and _before(reading, until))


def _before(reading: CurveReading, images: int) -> bool:
    """A reading comes after whole batches of 16 at most."""
    return reading.images < images + 16
