"""The `sampler` and `pruner` sections: how trials are proposed, and which of them are trained further."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from search.study.fields import Auto
from trial.counts import COUNT_LIMIT


class SamplerName(StrEnum):
    """The samplers that there are: how trials are proposed."""

    MODEL = "model"
    TPE = "tpe"
    RANDOM = "random"


class PrunerName(StrEnum):
    """The pruners that there are: how healthy trials that are worse than their peers are paused or stopped."""

    PROMOTION = "promotion"
    HALVING = "halving"
    HYPERBAND = "hyperband"
    MEDIAN = "median"
    NONE = "none"


MOST_STARTUP_TRIALS, MODEL_STARTUP_TRIALS = 10, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampler:
    """How trials are proposed."""

    name: SamplerName = SamplerName.MODEL
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    startup_trials: Auto[Annotated[int, Field(ge=0, lt=COUNT_LIMIT)]] = None
    least_anchor_fit: Annotated[float, Field(ge=0, lt=1)] = 0.5  # of what the best anchors reach; 0 trains them all
    most_divergence_risk: Annotated[float, Field(gt=0, le=1)] = 0.6  # by the study's own trials; 1 trains them all

    def startup(self, trials: int) -> int:
        """How many trials of so many come before the sampler learns from them.

        By default five that were read at a rung for the model; a third of all for TPE, at most Optuna's ten.
        """
        if self.startup_trials is not None:
            return self.startup_trials
        return MODEL_STARTUP_TRIALS if self.name is SamplerName.MODEL else min(MOST_STARTUP_TRIALS, trials // 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruner:
    """Which healthy trials are trained further."""

    name: PrunerName = PrunerName.PROMOTION
    reduction_factor: Auto[Annotated[int, Field(ge=2, lt=COUNT_LIMIT)]] = None
    checkpoints_gb: Annotated[float, Field(gt=0)] = 20.0  # of paused trials, on one machine

    @property
    def pauses(self) -> bool:
        """Whether trials wait at their rungs to be promoted."""
        return self.name is PrunerName.PROMOTION

    @property
    def factor(self) -> int:
        """One trial in so many goes on from a rung: as the user says, else what was measured to be best."""
        return self.reduction_factor or (4 if self.pauses else 3)
