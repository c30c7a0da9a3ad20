"""Which trial is best: by the highest rung reached, then by AP there.

An AP from an early rung cannot be compared with one from a later, so a trial that went further always ranks higher.
A rung is counted by its evaluations, not in images: images are rounded up to whole batches, so trials with different
batch sizes pass the same rung at slightly different counts.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from optuna.trial import FrozenTrial, TrialState
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from search.report.ap_text import ap_text
from spaces.faster_rcnn import Space
from storage.outcomes import read_outcomes
from storage.records import OutcomeRecord, RungRecord
from storage.study import StoredStudy, read_trials
from storage.telemetry import read_rungs
from trial.outcome import Outcome, refusals
from trial.reports import AP_ERROR

REFERENCE_TRIAL = 0  # Detectron2's defaults, as far as the study's space has them

#: Columns of the table, in order of interest: a heading and the parameters that it may stand for.
COLUMNS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("lr/16", ("lr_per_16", "adam_lr_per_16")),
    ("batch", ("batch_size",)),
    ("anchor", ("anchor_base",)),
    ("augment", ("augmentation",)),
    ("decay", ("decay_factor",)),
    ("weight decay", ("weight_decay",)),
    ("momentum", ("momentum",)),
)
MOST_COLUMNS, MOST_WITH_ERRORS = 4, 3  # as many as fit into 80 characters beside the fixed ones


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedTrial:
    """One trial and its place. `rank` is None while it has no value, or where it may not win."""

    rank: int | None
    number: int
    ap: float | None  # at the last rung, in [0, 1]
    ap_error: float | None  # its standard error; None where it is unknown
    training_s: float  # until there
    rung: int  # evaluations passed
    images: int  # seen at the last rung; where none was reached, at the end
    state: str  # Optuna's, in lower case
    outcome: Outcome | None  # None while the trial runs
    cause: str  # as the verdict has it: the name of a figure, of a rule, of a signal
    words: str  # what that means, for a person
    feasible: bool
    parameters: dict[str, float | int | str]  # only those that differ between the trials

    @property
    def is_reference(self) -> bool:
        return self.number == REFERENCE_TRIAL

    @property
    def ap_text(self) -> str:
        return ap_text(self.ap, self.ap_error)

    @property
    def ending(self) -> str:
        """How it stands, in a few words: its outcome with what went wrong, or its state while it has none."""
        words = self.words if self.outcome is None or not self.outcome.healthy else ""
        return ": ".join(filter(None, (self.outcome, words))) or self.state


def ranking(study: StoredStudy) -> list[RankedTrial]:
    """Every trial of the study that has begun: first those with a rank, then the others by number."""
    return ranked(read_trials(study), read_outcomes(study), read_rungs(study))


def ranked(
    trials: Iterable[FrozenTrial], outcomes: Iterable[OutcomeRecord], rungs: Iterable[RungRecord]
) -> list[RankedTrial]:
    """The same, from records that were read before."""
    begun = [trial for trial in trials if trial.state is not TrialState.WAITING]
    differing = _differing_parameters(begun)
    outcome_of = {record.trial: record for record in outcomes}
    rungs_of: dict[int, list[RungRecord]] = {}
    for rung in rungs:
        if math.isfinite(rung.ap):
            rungs_of.setdefault(rung.trial, []).append(rung)
    unplaced = [
        _unplaced(trial, outcome_of.get(trial.number), rungs_of.get(trial.number, []), differing) for trial in begun
    ]
    contenders = (t for t in unplaced if t.feasible and t.ap is not None and not (t.outcome and t.outcome.blameless))
    best_first = sorted(contenders, key=lambda trial: (-trial.rung, -(trial.ap or 0.0), trial.number))
    rank_of = {trial.number: rank for rank, trial in enumerate(best_first, start=1)}
    placed = (replace(trial, rank=rank_of.get(trial.number)) for trial in unplaced)
    return sorted(placed, key=lambda trial: (trial.rank or math.inf, trial.number))


def best(trials: Iterable[RankedTrial]) -> RankedTrial | None:
    """The trial with rank 1, or None while none has a value."""
    return next((trial for trial in trials if trial.rank == 1), None)


def first_trial_text(space: Space | None, imported: object | None) -> str:
    """What trial 0 is: an imported configuration, or the reference."""
    if imported is not None:
        return f"{imported} as it is; the values shown are the nearest that the space has"
    return f"the reference, {reference_text(space)}"


def reference_text(space: Space | None) -> str:
    """What the reference is: Detectron2's defaults, with what the study's space made of them; None where that is
    unknown.
    """
    moves = space.reference_moves() if space else {}
    changes = ", ".join(f"{name} {used} for {default}" for name, (default, used) in moves.items())
    return f"Detectron2's defaults, but {changes}" if changes else "Detectron2's defaults"


def ranking_table(trials: Sequence[RankedTrial], space: Space | None = None, imported: object | None = None) -> Table:
    """The ranking for a terminal of 80 columns or more; trial 0, the reference, is marked."""
    refused = refusals(Counter(trial.outcome for trial in trials if trial.outcome))
    trials = [trial for trial in trials if not (trial.outcome and trial.outcome.refused)]
    columns = _columns(trials)
    table = Table(
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        caption=f"* trial 0: {first_trial_text(space, imported)}"
        + f"\nproposals that were not trained: {refused}" * bool(refused),
        caption_justify="left",
    )
    for heading in ("rank", "trial", "AP", "images"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("ended", min_width=12, max_width=34)
    for heading, _ in columns:
        table.add_column(heading, justify="right", no_wrap=True)
    for trial in trials:
        cells = (
            "–" if trial.rank is None else str(trial.rank),
            f"{trial.number}{'*' if trial.is_reference else ''}",
            trial.ap_text,
            str(trial.images),
            trial.ending,
            *(_value(trial, names) for _, names in columns),
        )
        table.add_row(*map(Text, cells), style="bold" if trial.rank == 1 else None)
    return table


def _unplaced(
    trial: FrozenTrial, outcome: OutcomeRecord | None, rungs: list[RungRecord], differing: frozenset[str]
) -> RankedTrial:
    last = max(rungs, key=lambda rung: rung.images, default=None)
    return RankedTrial(
        rank=None,
        number=trial.number,
        ap=last.ap if last else None,
        ap_error=last.metrics.get(AP_ERROR) if last else None,
        training_s=sum(rung.training_s for rung in rungs),
        rung=len(rungs),
        images=last.images if last else (outcome.images if outcome else 0),
        state=trial.state.name.lower(),
        outcome=outcome.outcome if outcome else None,
        cause=outcome.cause if outcome else "",
        words=outcome.words if outcome else "",
        feasible=(outcome is None or not outcome.outcome.infeasible)
        and all(value <= 0 for value in trial.constraints.values()),
        parameters={name: value for name, value in trial.params.items() if name in differing},
    )


def _differing_parameters(trials: Sequence[FrozenTrial]) -> frozenset[str]:
    names = {name for trial in trials for name in trial.params}
    return frozenset(name for name in names if len({trial.params.get(name) for trial in trials}) > 1)


def _columns(trials: Sequence[RankedTrial]) -> list[tuple[str, tuple[str, ...]]]:
    differing = {name for trial in trials for name in trial.parameters}
    most = MOST_COLUMNS if all(trial.ap_error is None for trial in trials) else MOST_WITH_ERRORS
    return [column for column in COLUMNS if differing.intersection(column[1])][:most]


def _value(trial: RankedTrial, names: tuple[str, ...]) -> str:
    value = next((trial.parameters[name] for name in names if name in trial.parameters), None)
    if value is None:
        return "–"
    return f"{value:.2g}" if isinstance(value, float) else str(value)
