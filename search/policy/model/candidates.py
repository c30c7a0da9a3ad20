"""Points that a proposal is chosen from: some anywhere in the cube, some near the best of those that are known."""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from search.policy.model.cube import Cube

Array = NDArray[np.float64]

ANYWHERE = 250
NEAR, CENTRES = 50, 5  # so many near each of the best
MOVED, REDRAWN = 0.4, 0.15  # likelihood that a coordinate moves, or that a choice is drawn anew
LEAST_MOVE, MOST_MOVE = 0.01, 0.3  # standard deviation, as shares of the range


def candidates(cube: Cube, centres: Array, generator: Generator) -> Array:
    """Shares [m, p] of the points; centres [c, p] are the best that are known, the best first."""
    near = [_near(cube, centre, generator) for centre in centres[:CENTRES]]
    return np.vstack([generator.random((ANYWHERE, len(cube.sides))), *near])


def _near(cube: Cube, centre: Array, generator: Generator) -> Array:
    shape = (NEAR, len(centre))
    choice = np.array([bool(side.values) for side in cube.sides])
    moved = generator.random(shape) < np.where(choice, REDRAWN, MOVED)
    moved[np.arange(NEAR), generator.integers(0, len(centre), NEAR)] = True
    spread = np.exp(generator.uniform(np.log(LEAST_MOVE), np.log(MOST_MOVE), (NEAR, 1)))
    shifted = np.clip(centre + spread * generator.standard_normal(shape), 0.0, 1.0)
    there = np.where(choice, generator.random(shape), shifted)
    result: Array = np.where(moved, there, centre)
    return result
