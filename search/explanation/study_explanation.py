"""Why trials of a study fail and what made the others good: causes by the share they explain, boundaries, advice."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from detector.config import Canvas
from detector.data.dataset import Dataset
from detector.data.formats.annotation import DataError
from search.explanation.cause_share import CauseShare, ranked_causes
from search.explanation.effects.anchor_effect import AnchorEffect, anchor_effect
from search.explanation.effects.importance import Importances, importances
from search.explanation.effects.rate_boundary import RateBoundary, RatePoint, rate_boundaries, rate_points
from search.explanation.effects.survival import Cut, cuts, narrowed
from search.explanation.repair import Area
from search.report.plain import plain
from search.report.trial_history import TrialHistory, TrialRecord
from search.study.study_text import parameter_line
from spaces.parameters import Parameter
from spaces.section import write_parameter
from trial.outcome import Outcome, refusals

STRONG = 0.5  # correlation of ranks
MATTERED, IDLE = 2.0, 0.5  # times an even share of the importance


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StudyExplanation:
    """One study explained."""

    study: str
    storage: str  # host and database, never credentials
    ended: int  # trials
    failed: int
    refused: dict[Outcome, int]  # proposals by outcome that were never trained; in no other figure here
    images: int  # seen by all trials
    best: TrialRecord | None
    causes: tuple[CauseShare, ...]  # by trials, then by images
    failures: tuple[TrialRecord, ...]
    boundaries: tuple[RateBoundary, ...]
    points: tuple[RatePoint, ...]
    anchors: AnchorEffect | None
    anchors_absent: str  # why there is no effect of the anchors
    importances: Importances
    cuts: tuple[Cut, ...]
    space: dict[str, Parameter]  # narrowed ranges
    mattered: tuple[str, ...]  # sentences
    idle: tuple[str, ...]  # parameters that made no difference
    next_steps: tuple[str, ...]

    @property
    def not_trained(self) -> str:
        """How many proposals were refused, and why; empty where none was."""
        return refusals(self.refused)

    @property
    def space_yaml(self) -> str:
        """The narrowed ranges as lines of a study file; empty where there are none."""
        lines = [parameter_line(name, write_parameter(parameter)) for name, parameter in self.space.items()]
        return "\n".join(["space:", *lines]) if lines else ""

    def to_json(self) -> dict[str, Any]:
        """What `--json` prints (docs/explain.md)."""
        document = {
            "schema": 1,
            "study": self.study,
            "ended": self.ended,
            "failed": self.failed,
            "refused": self.refused,
            "images": self.images,
            "best": {"trial": self.best.number, "ap": self.best.rungs[-1].ap} if self.best else None,
            "causes": self.causes,
            "failures": [_failure_to_json(record) for record in self.failures],
            "rate_boundaries": [{**plain(each), "overlaps": each.overlaps} for each in self.boundaries],
            "rate_points": self.points,
            "anchors": self.anchors,
            "importances": self.importances,
            "cuts": self.cuts,
            "mattered": self.mattered,
            "did_not_matter": self.idle,
            "next_steps": self.next_steps,
            "space": {name: write_parameter(parameter) for name, parameter in self.space.items()},
        }
        return plain(document)


def explain_study(history: TrialHistory, *, with_data: bool = True) -> StudyExplanation:
    """The explanation of the study as it stands; without data, or where that isn't at hand, anchors are left out."""
    found = cuts(history)
    space = narrowed(history.space, found)
    causes = ranked_causes(history)
    boundaries = rate_boundaries(history.records)
    anchors, absent = _anchors(history) if with_data else (None, "the data was not asked for")
    shares = importances(history)
    return StudyExplanation(
        study=history.study,
        storage=history.storage,
        ended=history.ended,
        failed=len(history.failures),
        refused=dict(Counter(record.ending for record in history.refused if record.ending)),
        images=sum(record.images for record in history.records),
        best=history.best,
        causes=causes,
        failures=history.failures,
        boundaries=boundaries,
        points=tuple(rate_points(history.records)),
        anchors=anchors,
        anchors_absent=absent,
        importances=shares,
        cuts=found,
        space=space,
        mattered=tuple(_mattered(history, found, boundaries, shares, anchors)),
        idle=_idle(shares),
        next_steps=tuple(_next_steps(history, causes, space)),
    )


def training_data(history: TrialHistory) -> tuple[Dataset, Canvas]:
    """The study's training images and its canvas.

    Raises:
        DataError: they are not where the study found them.
    """
    specification = history.specification
    train, _ = specification.data.load(seed=specification.sampler.seed)
    return train, specification.detector.detector().canvas


def _failure_to_json(record: TrialRecord) -> dict[str, Any]:
    message = record.outcome.message if record.outcome else ""
    return {
        "trial": record.number,
        "outcome": record.ending,
        "rule": record.rule,
        "message": message,
        "images": record.images,
    }


def _anchors(history: TrialHistory) -> tuple[AnchorEffect | None, str]:
    try:
        train, canvas = training_data(history)
    except DataError as error:
        return None, f"the data is not at hand: {error}"
    return anchor_effect(history, train, canvas), ""


def _mattered(
    history: TrialHistory,
    found: Sequence[Cut],
    boundaries: Sequence[RateBoundary],
    shares: Importances,
    anchors: AnchorEffect | None,
) -> Iterator[str]:
    """Sentences on what decided between failure and health, and between good and poor."""
    yield from map(str, found)
    yield from filter(None, map(boundary_sentence, boundaries))
    if history.best is not None and not history.has_learned:
        ap = history.best.rungs[-1].ap
        yield f"no trial has learned to detect yet: the best AP is {ap:.3f}, so the order of healthy trials is noise"
    even = 1 / max(1, len(shares.to_be_best))
    strong = [f"{name} ({share:.0%})" for name, share in shares.to_be_best.items() if share >= MATTERED * even]
    if strong:
        yield f"what set the best of {shares.trials} trials apart most: {', '.join(strong)}"
    correlation = anchors.correlation if anchors else None
    if history.has_learned and correlation is not None and abs(correlation) >= STRONG:
        better = "better" if correlation > 0 else "worse"
        covered = "the more boxes the anchors covered"
        yield f"{covered}, the {better} the AP at the first rung (rank correlation {correlation:.2f})"


def boundary_sentence(boundary: RateBoundary) -> str:
    """What was seen at one batch size; empty where nothing diverged."""
    healthy, diverged = boundary.largest_healthy, boundary.smallest_diverged
    if diverged is None:
        return ""
    where = (
        f"{boundary.optimizer} at batch {boundary.batch_size}: diverged from a learning rate of {diverged.rate:.2g} on"
    )
    if healthy is None:
        return f"{where} (trial {diverged.trial}); none was healthy"
    also = ", so other parameters decide in between" if boundary.overlaps else ""
    return f"{where} (trial {diverged.trial}), healthy up to {healthy.rate:.2g} (trial {healthy.trial}){also}"


def _idle(shares: Importances) -> tuple[str, ...]:
    """Parameters that set neither the best trials apart from the others nor the healthy ones from the failures."""
    to_be_best, not_to_fail = shares.to_be_best, shares.not_to_fail
    most_best, most_fail = IDLE / max(1, len(to_be_best)), IDLE / max(1, len(not_to_fail))
    return tuple(
        name for name, share in to_be_best.items() if share < most_best and not_to_fail.get(name, 0.0) < most_fail
    )


def _next_steps(history: TrialHistory, causes: Sequence[CauseShare], space: dict[str, Parameter]) -> Iterator[str]:
    """What to do, the most useful first."""
    if not history.ended:
        yield "no trial has ended yet: go on with `frcnn-search launch`"
        return
    if len(history.refused) > history.ended:
        yield "most proposals were not trained: `frcnn-search doctor --write-space` proposes ranges that work"
    for share in causes:
        if share.repair is not None and share.repair.area is not Area.PARAMETER:
            trials = f"{len(share.trials)} trial{'s' if len(share.trials) > 1 else ''}"
            yield f"{share.repair.instruction} ({share.cause}, {trials})"
    if space:
        yield "start a new study (another name) with the narrowed ranges below in its space section"
    elif causes and causes[0].repair is not None and causes[0].repair.area is Area.PARAMETER:
        yield f"see `frcnn-search explain {causes[0].example}`, an example of {causes[0].cause}: " + (
            causes[0].repair.instruction
        )
    if history.has_learned and history.best is not None:
        ap = history.best.rungs[-1].ap
        yield f"export the best trial, {history.best.number} (AP {ap:.3f}), with `frcnn-search export`"
    elif history.best is not None:
        yield "give trials more images (budget.images), a larger detector.canvas, or pretrained detector.weights"
