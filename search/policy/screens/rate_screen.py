"""Tells learning rates at which training would diverge, by the trials of the study that did.

A rate is refused where a trial of its optimizer has diverged and another one at that rate is likely to
(`divergence_risk.py`). Trial by trial that is a search for the boundary: what lies beyond it is refused, and
each trial that trains close to it moves it up again.
"""

from collections.abc import Iterable, Iterator, Mapping

from detector.config import Hyperparameters, Optimizer
from search.policy.screens.divergence_risk import Tried, divergence_risk
from spaces.catalogue import DEFINITIONS, RATES
from spaces.faster_rcnn import Space
from spaces.parameters import Value, is_number
from trial.outcome import Outcome
from trial.verdict import Verdict

EndedTrial = tuple[Mapping[str, Value], Outcome]  # the values that it proposed, and how it ended

#: Published configurations train at these rates. With the weight of a trial they temper what the first to diverge says.
PUBLISHED: Mapping[Optimizer, Tried] = {
    optimizer: Tried(rate_per_16=float(DEFINITIONS[name].reference), batch_size=16, diverged=False)
    for optimizer, name in RATES.items()
}


def rate_verdict(space: Space, wanted: Hyperparameters, trials: Iterable[EndedTrial], *, most: float) -> Verdict | None:
    """Why this rate is not worth a trial after those trials, or None; `most` is the largest risk that is taken."""
    published = PUBLISHED[wanted.optimizer]
    alike = [*_tried(wanted.optimizer, trials, space.fixed())]
    diverged = [each.rate_per_16 for each in alike if each.diverged]
    if not diverged:
        return None
    risk = divergence_risk([*alike, published], rate_per_16=wanted.lr_per_16, batch_size=wanted.batch_size)
    if risk <= most:
        return None
    trained = max((each.rate_per_16 for each in alike if not each.diverged), default=None)
    others = "none trained" if trained is None else f"others trained up to {trained:.2g}"
    return Verdict(
        outcome=Outcome.RISKY,
        cause="learning rate",
        message=f"a learning rate of {wanted.lr_per_16:.2g} per 16 images is too likely to diverge ({risk:.0%}): "
        f"of the trials with {wanted.optimizer.value} {len(diverged)} did, from {min(diverged):.2g} on; {others}, "
        f"published configurations at {published.rate_per_16:.2g}",
        evidence={"risk": risk, "most risk": most, "lowest diverged": min(diverged)},
    )


def _tried(optimizer: Optimizer, trials: Iterable[EndedTrial], fixed: Mapping[str, Value]) -> Iterator[Tried]:
    """What trials with that optimizer show. Only these parameters are read: it is done in a turn, over all trials.

    *Not learning* may come from a rate too high or too low, and shows nothing.
    """
    for values, outcome in trials:
        shows = outcome.healthy or outcome is Outcome.DIVERGED
        if not shows or values.get("optimizer", fixed.get("optimizer")) != optimizer:
            continue
        rate, batch_size = (values.get(name, fixed.get(name)) for name in (RATES[optimizer], "batch_size"))
        if is_number(rate) and is_number(batch_size) and min(rate, batch_size) > 0:  # somebody may have added others
            yield Tried(rate_per_16=rate, batch_size=int(batch_size), diverged=outcome is Outcome.DIVERGED)
