"""Studies whose causes of failure are known, written through storage as workers would have left them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState

from search.report.trial_history import TrialHistory, read_trial_history, trial_records
from search.study.specification import Specification, specification_from, specification_to_json
from storage.connection.database import Database
from storage.outcomes import record_outcome
from storage.records import OutcomeRecord, RungRecord
from storage.study import find_study, save_specification
from storage.study_view import StudyView
from storage.telemetry import append_telemetry, record_rung
from tests.support.studies import create_optuna_study
from trial.outcome import Outcome
from trial.reports import TelemetryPoint
from trial.verdict import Verdict

BUDGET, FIRST_RUNG = 960, 320


@dataclass(frozen=True, slots=True, kw_only=True)
class Sown:
    """One trial: what differs from the reference, and how it ended (None: it still runs)."""

    outcome: Outcome | None = Outcome.COMPLETE
    values: Mapping[str, Any] = field(default_factory=dict)
    ap: float = 0.3
    rule: str = ""
    term: str = ""
    step: int = 7
    images: int = 0  # 0: as the outcome has it
    evidence: Mapping[str, float | str] = field(default_factory=dict)
    curve: Sequence[Mapping[str, float]] = ()  # figures of the steps from 0 on


def healthy(rate: float = 0.01, *, ap: float = 0.3, **values: Any) -> Sown:
    """A trial that trained its whole budget at that rate per 16 images."""
    return Sown(values={"lr_per_16": rate, **values}, ap=ap)


def diverged(rate: float, *, rule: str = "exploding", **values: Any) -> Sown:
    """A trial that diverged at step 7."""
    return Sown(
        outcome=Outcome.DIVERGED, values={"lr_per_16": rate, **values}, rule=rule, term="loss_rpn_box", images=128
    )


def planted_specification(url: str, data: Path, *, name: str = "planted", **sections: Any) -> Specification:
    """A study of the analytic trainer with rungs at 320 and 960 images."""
    document = {
        "name": name,
        "storage": url,
        "trainer": "analytic",
        "data": {"folder": str(data)},
        "detector": {"canvas": "96x128"},
        "budget": {"trials": 40, "images": BUDGET, "rungs": [FIRST_RUNG, BUDGET]},
        **sections,
    }
    return specification_from(document, "this test")


def imagine(specification: Specification, trials: Sequence[Sown]) -> TrialHistory:
    """The history of a study with these trials, in order, that no database holds."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    outcomes, rungs = [], []
    for number, sown in enumerate(trials):
        trial = _ask(study, specification, sown)
        rungs += rungs_of(number, sown)
        if sown.outcome is not None:
            outcomes.append(OutcomeRecord(trial=number, recorded_at=datetime.now(UTC), **asdict(verdict_of(sown))))
            _tell(study, trial, sown.outcome, sown.ap)
    records = trial_records(specification, study.get_trials(deepcopy=False), outcomes, rungs)
    return TrialHistory.of(specification, "nowhere", records)


def plant(database: Database, specification: Specification, trials: Sequence[Sown]) -> TrialHistory:
    """Write the study with these trials, in order, and read it back."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    name = specification.name
    study = create_optuna_study(database, name, sampler=optuna.samplers.RandomSampler(seed=0))
    stored = find_study(database, name)
    save_specification(stored, specification_to_json(specification))
    for number, sown in enumerate(trials):
        trial = _ask(study, specification, sown)
        points = [TelemetryPoint(step=n, images=16 * n, figures=dict(figures)) for n, figures in enumerate(sown.curve)]
        append_telemetry(stored, number, points)
        for rung in rungs_of(number, sown):
            record_rung(stored, number, rung)
            trial.report(rung.ap, step=rung.images)
        if sown.outcome is not None:
            record_outcome(stored, number, verdict_of(sown))
            if sown.outcome.final:
                StudyView(stored).end(number, sown.outcome)
    return read_trial_history(stored, specification)


def rungs_of(number: int, sown: Sown) -> list[RungRecord]:
    """The evaluations that the trial passed."""
    passed = {Outcome.COMPLETE: (FIRST_RUNG, BUDGET), Outcome.OUTRANKED: (FIRST_RUNG,)}
    return [
        RungRecord(trial=number, images=images, step=images, ap=sown.ap, metrics={}, training_s=1.0, evaluation_s=1.0)
        for images in passed.get(sown.outcome or Outcome.INTERRUPTED, ())
    ]


def verdict_of(sown: Sown) -> Verdict:
    """Why it ended."""
    assert sown.outcome is not None
    return Verdict(
        outcome=sown.outcome,
        cause=sown.term,
        message=f"{sown.term or sown.outcome} was seen",
        step=sown.step,
        images=sown.images or max((rung.images for rung in rungs_of(0, sown)), default=0),
        evidence={**({"rule": sown.rule} if sown.rule else {}), **sown.evidence},
    )


def _ask(study: optuna.Study, specification: Specification, sown: Sown) -> optuna.Trial:
    space = specification.space
    study.enqueue_trial(space.nearest({**space.reference(), **sown.values}))
    trial = study.ask()
    space.suggest(trial)
    return trial


def _tell(study: optuna.Study, trial: optuna.Trial, outcome: Outcome, ap: float) -> None:
    if outcome.final:  # else it stays RUNNING
        study.tell(trial, ap if outcome is Outcome.COMPLETE else None, state=TrialState[outcome.state])
