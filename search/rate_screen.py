"""Tells learning rates at which training would diverge, by the trials of the study that did.

A rate is refused where a trial of its optimizer has diverged and another one at that rate is likely to
(`spaces/divergence_risk.py`). Trial by trial that is a search for the boundary: what lies beyond it is refused, and
each trial that trains close to it moves it up again.
"""

from collections.abc import Iterable, Mapping

from optuna.trial import FrozenTrial

from detector.config import ConfigError, Hyperparameters, Optimizer
from search.outcomes import Outcome, Verdict
from spaces.catalogue import DEFINITIONS
from spaces.divergence_risk import Tried, divergence_risk
from spaces.faster_rcnn import Space

#: Trials that show whether a rate diverges; *not learning* may come from a rate too high or too low.
TELLING = frozenset({Outcome.COMPLETE, Outcome.SLOW, Outcome.DIVERGED})

#: Published configurations train at these rates. With the weight of a trial they temper what the first to diverge says.
PUBLISHED: Mapping[Optimizer, Tried] = {
    optimizer: Tried(rate_per_16=float(DEFINITIONS[name].reference), batch_size=16, diverged=False)
    for optimizer, name in ((Optimizer.SGD, "lr_per_16"), (Optimizer.ADAM, "adam_lr_per_16"))
}


class RateScreen:
    """What the trials of one study tell of rates; it remembers those that it has seen."""

    def __init__(self, space: Space) -> None:
        self._space = space
        self._seen: dict[int, tuple[Optimizer, Tried] | None] = {}

    def verdict(self, wanted: Hyperparameters, trials: Iterable[FrozenTrial], *, most: float) -> Verdict | None:
        """Why this rate is not worth a trial after those trials, or None; `most` is the largest risk that is taken."""
        told = (self._tried(trial) for trial in trials if trial.state.is_finished())
        alike = [tried for optimizer, tried in filter(None, told) if optimizer is wanted.optimizer]
        diverged = sorted(each.rate_per_16 for each in alike if each.diverged)
        if not diverged:
            return None
        evidence = [*alike, PUBLISHED[wanted.optimizer]]
        risk = divergence_risk(evidence, rate_per_16=wanted.lr_per_16, batch_size=wanted.batch_size)
        if risk <= most:
            return None
        trained = max((each.rate_per_16 for each in alike if not each.diverged), default=None)
        upto = "none trained" if trained is None else f"others trained up to {trained:.2g}"
        return Verdict(
            outcome=Outcome.RISKY,
            cause="learning rate",
            message=f"a learning rate of {wanted.lr_per_16:.2g} per 16 images is too likely to diverge ({risk:.0%}): "
            f"of the trials with {wanted.optimizer.value} {len(diverged)} did, from {diverged[0]:.2g} on; {upto}",
            evidence={"risk": risk, "most risk": most, "lowest diverged": diverged[0]},
        )

    def _tried(self, trial: FrozenTrial) -> tuple[Optimizer, Tried] | None:
        """What a finished trial tells; None where it tells nothing."""
        if trial.number not in self._seen:
            self._seen[trial.number] = _read(trial, self._space)
        return self._seen[trial.number]


def _read(trial: FrozenTrial, space: Space) -> tuple[Optimizer, Tried] | None:
    outcome = trial.user_attrs.get("outcome")  # as `storage.outcomes` shows it
    if outcome not in TELLING:
        return None
    try:
        tried = space.configuration(trial.params)
    except ConfigError:  # a person may have enqueued anything
        return None
    diverged = outcome == Outcome.DIVERGED
    return tried.optimizer, Tried(rate_per_16=tried.lr_per_16, batch_size=tried.batch_size, diverged=diverged)
