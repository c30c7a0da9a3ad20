"""Which proposals are not worth a trainer: with hopeless anchors, or a rate at which trials of the study diverge."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from optuna.trial import FrozenTrial

from detector.config import ConfigError
from search.policy.screens.anchor_screen import AnchorScreen
from search.policy.screens.rate_screen import rate_verdict
from search.study.policy_section import Sampler
from spaces.faster_rcnn import Space
from spaces.parameters import Value
from trial.outcome import Outcome
from trial.verdict import Verdict

MOST_REFUSED = 50  # proposals in a row; the next is trained, so that a space without good points comes to an end too
LAST_REFUSED = (
    f"so it was with the last {MOST_REFUSED} proposals, so the next is trained whatever it is; `doctor "
    "--write-space` proposes ranges that work, and sampler.least_anchor_fit: 0 and sampler.most_divergence_risk: 1 in "
    "the study file train all"
)


class Screening:
    """Judges the proposals of one study, each once: by whoever asked for it, before anything of it is trained.

    Anchors are judged alike at any time, rates by the trials that have ended so far.
    `box_sample` is the study's (`AnchorScreen.to_json`), None where there are no anchors to choose. `point_of` says
    what a trial really trained, by its number and its parameters.
    """

    def __init__(
        self,
        space: Space,
        settings: Sampler,
        box_sample: dict[str, Any] | None,
        point_of: Callable[[int, Mapping[str, Value]], Mapping[str, Value]] = lambda _, values: values,
    ) -> None:
        self._space = space
        self._point_of = point_of
        self._settings = settings
        self._anchors = AnchorScreen.from_json(box_sample) if box_sample and settings.least_anchor_fit else None

    def mistake(self, enqueued: Mapping[str, Value]) -> Verdict | None:
        """What is wrong with values that somebody enqueued for a trial; None where nothing is."""
        try:
            self._space.require_inside(enqueued)
        except ConfigError as error:
            return Verdict(outcome=Outcome.INVALID, cause="enqueued values", message=str(error))
        return None

    def verdict(
        self, proposal: FrozenTrial, before: Sequence[FrozenTrial], outcomes: Mapping[int, Outcome]
    ) -> Verdict | None:
        """Why a sampler's proposal is not worth a trial, or None where it is to be trained.

        Judged by all trials of lower numbers, and the outcomes of those that have one.
        """
        refused = (trial.number in outcomes and outcomes[trial.number].refused for trial in reversed(before))
        row = 1 + sum(1 for _ in itertools.takewhile(bool, refused))
        if row > MOST_REFUSED:
            return None
        verdict = self._judged(proposal, before, outcomes)
        if verdict is not None and row == MOST_REFUSED:
            return replace(verdict, message=f"{verdict.message}; {LAST_REFUSED}")
        return verdict

    def _judged(
        self, proposal: FrozenTrial, before: Sequence[FrozenTrial], outcomes: Mapping[int, Outcome]
    ) -> Verdict | None:
        wanted, settings = self._space.configuration(proposal.params), self._settings
        if self._anchors and (verdict := self._anchors.verdict(wanted.anchors, least=settings.least_anchor_fit)):
            return verdict
        if settings.most_divergence_risk < 1:
            ended = [
                (self._point_of(trial.number, trial.params), outcomes[trial.number])
                for trial in before
                if trial.number in outcomes
            ]
            return rate_verdict(self._space, wanted, ended, most=settings.most_divergence_risk)
        return None
