"""The best configuration of a study, as a file that `train` runs."""

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from detector.config import ConfigError, require
from search.export.configuration_file import Configuration, Provenance, read_configuration, write_configuration
from search.plan import as_launched
from search.policy.samplers import training_seed
from search.report.certainty import alike, alike_text
from search.report.ranking import RankedTrial, best, ranking
from search.report.untrained import has_learnt, read_untrained
from search.study.data_section import Data, Split
from search.study.specification import Specification
from storage.study import StoredStudy, read_trials

PACKAGES = ("keras", "numpy", "optuna", "tensorflow")


Writer = Callable[[Path, Configuration], None]

#: What a configuration can be written as: a new format is a module with a writer, and a line here.
FORMATS: Mapping[str, Writer] = {"frcnn": write_configuration}


def export(
    study: StoredStudy, specification: Specification, *, output: Path, trial: int | None, format: str = "frcnn"
) -> str:
    """Write the best configuration, or another trial's, and say in one line what was written.

    An earlier export is replaced; a file of any other kind is not.

    Raises:
        ConfigError: no trial has a value yet, the trial cannot work, or the file cannot be written.
    """
    require(format in FORMATS, f"--format must be one of {', '.join(FORMATS)}, but is {format!r}")
    places = ranking(study)
    chosen = choose(places, trial)
    if output.exists():
        _require_ours(output)
    FORMATS[format](output, configuration_of(study, specification, chosen, folder=output.resolve().parent))
    untrained_ap = read_untrained(study)
    warning = "" if has_learnt(chosen, untrained_ap) else f", no better than an untrained detector ({untrained_ap:.3f})"
    text = alike_text(chosen, alike(places)) if chosen.rank == 1 else ""
    rivals = f"; {text}" if text else ""
    return f"wrote {output}: trial {chosen.number}, AP {chosen.ap_text} after {chosen.images} images{warning}{rivals}"


def choose(trials: list[RankedTrial], number: int | None) -> RankedTrial:
    """The best of the ranking, or the one with that number.

    Raises:
        ConfigError: there is none, or it is infeasible or has no value.
    """
    if number is None:
        winner = best(trials)
        if winner is None:
            raise ConfigError("no trial has a value yet, so there is nothing to export; launch the study further")
        return winner
    found = next((trial for trial in trials if trial.number == number), None)
    if found is None:
        raise ConfigError(f"there is no trial {number}; those that have begun are {_listed(trials)}")
    refused = found.outcome is not None and found.outcome.refused
    require(not refused, f"trial {number} was never trained ({found.outcome}), so it is not exported")
    require(
        found.feasible, f"trial {number} ended as {found.ending}: it cannot work, so it is not exported; see `status`"
    )
    require(found.ap is not None, f"trial {number} has no value ({found.ending}); choose one that reached a rung")
    return found


def configuration_of(
    study: StoredStudy, specification: Specification, place: RankedTrial, *, folder: Path
) -> Configuration:
    """The complete configuration of one trial; paths to the data are relative to the folder.

    Raises:
        ConfigError: the data is not where the study found it.
    """
    parameters = read_trials(study)[place.number].params
    launched = as_launched(study, storage=specification.storage)
    dataset, _ = launched.data.load(seed=launched.sampler.seed)
    return Configuration(
        hyperparameters=launched.hyperparameters(place.number, parameters),
        detector=replace(launched.detector.detector(), micro_batch=launched.micro_batch),
        classes=dataset.classes,
        data=_relative(launched.data, folder),
        provenance=Provenance(
            study=launched.name,
            trial=place.number,
            ap=place.ap or 0.0,
            images=place.images,
            budget_images=launched.rungs[-1],
            seed=training_seed(launched.sampler.seed, place.number),
            study_seed=launched.sampler.seed,
            anchor_slots=launched.anchors_per_cell,
            code_version=version("frcnn-search"),
            dataset_fingerprint=dataset.fingerprint,
            exported_at=datetime.now(UTC).isoformat(timespec="seconds"),
            packages={name: version(name) for name in PACKAGES},
        ),
    )


def _relative(data: Data, folder: Path) -> Data:
    def relative(path: Path | None) -> Path | None:
        return None if path is None else Path(os.path.relpath(path, folder))

    def relative_split(split: Split | None) -> Split | None:
        if split is None:
            return None
        return replace(
            split,
            images=Path(os.path.relpath(split.images, folder)),
            annotations=Path(os.path.relpath(split.annotations, folder)),
            split=relative(split.split),
        )

    return replace(
        data,
        folder=relative(data.folder),
        train=relative_split(data.train),
        validation=relative_split(data.validation),
    )


def _require_ours(output: Path) -> None:
    try:
        read_configuration(output)
    except ConfigError:
        raise ConfigError(f"{output} is there and is not an export; choose another --output, or move it away") from None


def _listed(trials: list[RankedTrial]) -> str:
    numbers = sorted(trial.number for trial in trials)
    return ", ".join(map(str, numbers[:30])) + (" …" if len(numbers) > 30 else "") if numbers else "none"
