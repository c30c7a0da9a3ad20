"""What a trial's evaluations say of it, at each rung: kept with the trial, so that whoever reads it has them too."""

from typing import Any

from optuna.trial import FrozenTrial

from trial.reading import Reading

_PREFIX = "reading at "  # of system attributes; the rest is the rung


def attribute(rung: int, reading: Reading) -> dict[str, list[float]]:
    """The attribute that keeps a reading."""
    return {f"{_PREFIX}{rung}": [reading.value, reading.error]}


def readings(trial: FrozenTrial) -> dict[int, Reading]:
    """By rung; where only the AP was kept, that, with an error of 0: nobody knows it."""
    return {
        rung: _reading(trial.system_attrs.get(f"{_PREFIX}{rung}"), ap) for rung, ap in trial.intermediate_values.items()
    }


def values_of(trial: FrozenTrial) -> dict[int, float]:
    """The readings' values alone."""
    return {rung: reading.value for rung, reading in readings(trial).items()}


def _reading(kept: Any, ap: float) -> Reading:
    return Reading(value=kept[0], error=kept[1]) if kept else Reading(value=ap)
