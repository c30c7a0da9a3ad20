"""One study, one specification: what a second launch may change, and what it must not."""

from collections.abc import Collection, Iterator
from typing import Any

from optuna.trial import TrialState

from detector.config import ConfigError
from search.study.specification import Specification, specification_from_json, specification_to_json
from storage.outcomes import read_outcomes
from storage.study import StoredStudy, read_specification, read_trials, replace_specification, save_specification
from storage.telemetry import count_rungs
from storage.workers import read_workers
from trial.outcome import Outcome

WORKER_GONE_S = 120.0  # after so long without a sign nobody waits for it

#: More trials, or other hands: what was found so far still counts.
CHANGEABLE = (
    "budget.trials", "budget.trainings", "pruner.checkpoints_gb", "workers",
    "sampler.startup_trials", "sampler.least_anchor_fit", "sampler.most_divergence_risk",
    "data.on_bad_image", "data.most_bad_share",  # `data.left_out` says what came of them
    "detector.long_side_px",  # the canvas itself is stored
)  # fmt: skip


class OtherSpecification(ConfigError):
    """A study was begun with other settings."""


def is_blank(study: StoredStudy) -> bool:
    """Whether nothing would be lost with it: no trial passed a rung, none ended by its own configuration or by somebody
    else's word, none waits, and no worker is there.
    """
    trials = read_trials(study)
    ends = {each.outcome for each in read_outcomes(study)}
    told = any(end.healthy or end is Outcome.ENDED_ELSEWHERE or (end.infeasible and not end.refused) for end in ends)
    waiting = any(trial.state is TrialState.WAITING for trial in trials)
    at_work = any(worker.age_s < WORKER_GONE_S for worker in read_workers(study))
    return not (told or waiting or at_work or count_rungs(study, [trial.number for trial in trials]))


def agree(study: StoredStudy, specification: Specification, *, kept: Collection[str] = ()) -> None:
    """Make this the study's specification; one that is there may differ only in `CHANGEABLE`.

    What is stored under the keys `kept` stays: they were worked out, and another machine may round otherwise.

    Raises:
        OtherSpecification: it differs in more; the message lists where, with both values.
        ConfigError: the study is somebody else's.
    """
    wanted = specification_to_json(specification)
    if read_specification(study) is None and (trials := len(read_trials(study))):
        raise ConfigError(
            f"study {study.name!r} in {study.database.label} is another program's: its trials ({trials}) have nothing "
            "that frcnn-search left beside them; give the study another name"
        )
    save_specification(study, wanted)
    stored = _as_written_today(read_specification(study) or wanted, specification.storage)
    wanted |= {key: stored[key] for key in kept if key in stored}
    changes = list(differences(stored, wanted))
    refused = [change for change in changes if not change.startswith(tuple(f"{key}: " for key in CHANGEABLE))]
    if refused:
        raise OtherSpecification(
            f"study {specification.name!r} in {study.database.label} was begun with another specification:\n  "
            + "\n  ".join(refused)
            + "\nIts trials could not be compared with new ones; change these back, or give the study another name"
        )
    if changes:
        replace_specification(study, wanted)


def _as_written_today(stored: dict[str, Any], storage: str) -> dict[str, Any]:
    """With the values of settings that did not exist when it was stored."""
    return specification_to_json(specification_from_json(stored, storage=storage))


def differences(stored: dict[str, Any], wanted: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """One line for each value that differs: `detector.canvas: 256x256 was stored, 128x128 is wanted`."""
    for key in dict.fromkeys((*stored, *wanted)):
        old, new, name = stored.get(key), wanted.get(key), f"{prefix}{key}"
        if isinstance(old, dict) and isinstance(new, dict):
            yield from differences(old, new, f"{name}.")
        elif old != new:
            yield f"{name}: {old} was stored, {new} is wanted"
