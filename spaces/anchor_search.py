"""Anchors derived from boxes: the point of a space whose anchors fit best, found by differential evolution.

The score of a set of anchors is the mean over boxes of a ramp from 0 at an IoU of 0.3, where the RPN calls an anchor
negative, to 1 at 0.7, where it calls it positive. It is measured on the true grid (`spaces.anchor_fit`), so that sizes
and ratios make up for the offset of the cells, which k-means over box shapes cannot see.

More anchors always fit better, but each costs negatives to learn from. So of all combinations of scales and ratios the
one with the fewest anchors wins that comes within `WORTH_IT` of the best score.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np

from detector.config import NEGATIVE_IOU, POSITIVE_IOU, Anchors, require
from spaces.anchor_fit import CanvasBoxes, Floats, best_ious
from spaces.catalogue import DEFINITIONS
from spaces.faster_rcnn import ANCHOR_PARAMETERS, Space, anchors_of
from spaces.parameters import Fixed, Value, at_share

COUNTS = ("anchor_scales", "anchor_ratios")
MOST_BOXES = 1000  # looked at in the search; the standard error of a mean over so many is below 0.015
WORTH_IT = 0.02  # of the score: what an anchor more must bring, above that error
POPULATION, GENERATIONS = 14, 24
STEP, CROSSOVER = 0.7, 0.9  # of differential evolution (Storn and Price's usual values)


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivedAnchors:
    """Anchors that fit the boxes, as a point of the space."""

    values: dict[str, Value]  # the anchor parameters that are active and not fixed, as `Space.suggest` returns them
    anchors: Anchors
    score: float  # on the boxes looked at


def derive_anchors(space: Space, data: CanvasBoxes, *, seed: int = 0) -> DerivedAnchors:
    """The anchors of the space that fit the boxes best with the fewest shapes; the same seed gives the same.

    Raises:
        ConfigError: the space has explicit anchors, so there is nothing to derive, or there is no box.
    """
    require(space.anchors is None, "anchors are explicit in this space; remove space.anchors to derive them")
    require(len(data.boxes) > 0, "anchors are derived from boxes, but there is none")
    random = np.random.default_rng(seed)
    chosen = random.permutation(len(data.boxes))[:MOST_BOXES]
    sample = data.select(np.sort(chosen))
    every = product(*map(space.whole_values, COUNTS))
    found = [_best_of(space, dict(zip(COUNTS, counts, strict=True)), sample, random) for counts in every]
    enough = max(derived.score for derived in found) - WORTH_IT
    return min((derived for derived in found if derived.score >= enough), key=lambda d: (d.anchors.per_cell, -d.score))


def score_of(ious: Floats) -> float:
    """The mean ramp of the boxes' best IoUs, in [0, 1]."""
    return float(np.clip((ious - NEGATIVE_IOU) / (POSITIVE_IOU - NEGATIVE_IOU), 0.0, 1.0).mean())


def _best_of(
    space: Space, counts: Mapping[str, Value], sample: CanvasBoxes, random: np.random.Generator
) -> DerivedAnchors:
    """The best anchors with these numbers of scales and ratios."""
    names = [name for name in ANCHOR_PARAMETERS if name not in counts and DEFINITIONS[name].exists_at(counts)]

    def at(shares: Floats) -> DerivedAnchors:
        others = {
            name: at_share(space.parameters[name], float(share)) for name, share in zip(names, shares, strict=True)
        }
        point = dict(counts) | others
        anchors = anchors_of(point)
        return DerivedAnchors(
            values={
                name: point[name]
                for name in ANCHOR_PARAMETERS
                if name in point and not isinstance(space.parameters[name], Fixed)
            },
            anchors=anchors,
            score=score_of(best_ious(sample.boxes, anchors, sample.canvas)),
        )

    return _evolved(at, len(names), random)


def _evolved(at: Callable[[Floats], DerivedAnchors], unknowns: int, random: np.random.Generator) -> DerivedAnchors:
    """The best of differential evolution over shares in [0, 1]: rand/1/bin, reflected at the bounds."""
    population = random.random((POPULATION, unknowns))
    found = [at(member) for member in population]
    for _ in range(GENERATIONS):
        for index in range(POPULATION):
            one, two, three = random.permutation(POPULATION)[:3]
            mutant = population[one] + STEP * (population[two] - population[three])
            mutant = 1.0 - np.abs(1.0 - np.abs(mutant))  # from [-1, 2] back into [0, 1]
            taken = random.random(unknowns) < CROSSOVER
            trial = np.where(taken, mutant, population[index])
            derived = at(trial)
            if derived.score >= found[index].score:
                population[index], found[index] = trial, derived
    return max(found, key=lambda derived: derived.score)
