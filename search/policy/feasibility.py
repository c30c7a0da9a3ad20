"""Which proposals are not worth a trainer: with hopeless anchors, or a rate at which trials of the study diverge."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from optuna.trial import FrozenTrial

from detector.config import ConfigError
from search.plan import Plan
from search.policy.anchor_screen import AnchorScreen
from search.policy.budget import was_refused
from search.policy.rate_screen import rate_verdict
from trial.outcome import Outcome, Verdict

MOST_REFUSED = 50  # proposals in a row; the next is trained, so that a space without good points comes to an end too
LAST_REFUSED = (
    f"so it was with the last {MOST_REFUSED} proposals, so the next is trained whatever it is; `frcnn-search doctor "
    "--write-space` proposes ranges that work, and sampler.least_anchor_fit: 0 and sampler.most_divergence_risk: 1 in "
    "the study file train all"
)
ENQUEUED = "fixed_params"  # where Optuna keeps the values that somebody chose


class Screening:
    """Judges the proposals of one study, each once: by whoever asked for it, before anything of it is trained.

    Anchors are judged alike at any time, rates by the trials that have ended so far.
    `box_sample` is the study's (`AnchorScreen.to_json`), None where there are no anchors to choose.
    """

    def __init__(self, plan: Plan, box_sample: dict[str, Any] | None) -> None:
        self._plan = plan
        self._anchors = AnchorScreen.from_json(box_sample) if box_sample and plan.least_anchor_fit else None

    def mistake(self, trial: FrozenTrial) -> Verdict | None:
        """What is wrong with values that somebody enqueued for a trial; None where nothing is."""
        try:
            self._plan.space.require_inside(trial.system_attrs.get(ENQUEUED, {}))
        except ConfigError as error:
            return Verdict(outcome=Outcome.INVALID, cause="enqueued values", message=str(error))
        return None

    def verdict(self, trial: FrozenTrial, before: Sequence[FrozenTrial]) -> Verdict | None:
        """Why a proposal is not worth a trial, given all trials of lower numbers; None where it is to be trained."""
        row = 1 + sum(1 for _ in itertools.takewhile(was_refused, reversed(before)))
        if ENQUEUED in trial.system_attrs or row > MOST_REFUSED:
            return None  # who enqueued it wants to know what comes of it
        verdict = self._judged(trial, before)
        if verdict is not None and row == MOST_REFUSED:
            return replace(verdict, message=f"{verdict.message}; {LAST_REFUSED}")
        return verdict

    def _judged(self, trial: FrozenTrial, before: Sequence[FrozenTrial]) -> Verdict | None:
        plan = self._plan
        wanted = plan.space.configuration(trial.params)
        if self._anchors and (verdict := self._anchors.verdict(wanted.anchors, least=plan.least_anchor_fit)):
            return verdict
        if plan.most_divergence_risk < 1:
            return rate_verdict(plan.space, wanted, before, most=plan.most_divergence_risk)
        return None
