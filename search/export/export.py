"""The best configuration of a study, as a file that `train` runs or as files that other frameworks train by."""

import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from detector.config import ConfigError, require
from detector.data.dataset import Dataset
from search.export.configuration_file import Configuration, Provenance, read_configuration, write_configuration
from search.export.frameworks.exporting import FRAMEWORKS, Written, write_frameworks
from search.plan import as_launched
from search.policy.samplers import training_seed
from search.report.certainty import alike, alike_text
from search.report.ranking import RankedTrial, best, ranking
from search.report.untrained import has_learnt, read_untrained
from search.study.data_section import Data, Split
from search.study.specification import Specification
from storage.study import StoredStudy, read_trials

PACKAGES = ("keras", "numpy", "optuna", "tensorflow")
OURS, ALL = "frcnn", "all"
DEFAULT_FILE, DEFAULT_FOLDER = "best.yaml", "exported"

#: Names of modules that are imported where the exported files are run.
HIDDEN = ("detectron2", "frcnn_training", "mmcv", "mmdet", "mmengine", "torch", "torchvision")

#: What a configuration can be written as.
FORMATS = (OURS, *FRAMEWORKS, ALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What was written, for whoever asked for it."""

    lines: tuple[str, ...]
    warnings: tuple[str, ...] = ()  # values that a format cannot say, formats that were left out


def export(
    study: StoredStudy,
    specification: Specification,
    *,
    output: Path | None = None,
    trial: int | None = None,
    format: str = OURS,
    images: int | None = None,
) -> Exported:
    """Write the best configuration, or another trial's, as one format or as all, and say what was written.

    An earlier export is replaced; a file of any other kind is not. `images` is the length of the training that files
    for other frameworks describe, in place of the study's budget.

    Raises:
        ConfigError: no trial has a value yet, the trial cannot work, the format cannot express its detector, or a
            file cannot be written.
    """
    require(format in FORMATS, f"--format must be one of {', '.join(FORMATS)}, but is {format!r}")
    require(
        images is None or format != OURS,
        "--images is the length of a training by another framework; say it to `train`, or name another --format",
    )
    places = ranking(study)
    chosen = choose(places, trial)
    folder, name = _place(output, format)
    launched = as_launched(study, storage=specification.storage)
    datasets = launched.data.load(seed=launched.sampler.seed)
    if format in (OURS, ALL) and (folder / (name or DEFAULT_FILE)).exists():
        _require_ours(folder / (name or DEFAULT_FILE))
    configuration = _configuration_of(study, launched, chosen, datasets[0], folder=folder.resolve())
    written = (
        write_frameworks(
            configuration,
            datasets,
            tuple(FRAMEWORKS) if format == ALL else (format,),
            folder=folder,
            name=name,
            images=images,
        )
        if format != OURS
        else Written(files=(), lines=(), warnings=())
    )
    if format in (OURS, ALL):
        write_configuration(folder / (name or DEFAULT_FILE), configuration)
    what = folder if format == ALL else folder / (name or _first_file(format))
    return Exported(
        lines=(f"wrote {what}: {_chosen_text(study, chosen, places)}", *written.lines),
        warnings=written.warnings,
    )


def _first_file(format: str) -> str:
    return DEFAULT_FILE if format == OURS else FRAMEWORKS[format].files[0]


def _place(output: Path | None, format: str) -> tuple[Path, str | None]:
    """The folder to write into, and the name of the first file there where it is not the format's own.

    For another framework, what has no suffix is a folder.
    """
    if format == ALL:
        folder = output or Path(DEFAULT_FOLDER)
        require(not folder.is_file(), f"{folder} is a file; --format all writes several: name a folder as --output")
        return folder, None
    if output is None:
        return Path(), None
    if format == OURS:
        return output.parent, output.name
    if output.is_dir() or not output.suffix:
        return output, None
    suffix = Path(_first_file(format)).suffix
    require(
        output.suffix == suffix, f"the file of {format} ends in {suffix}, but --output is {output}; or name a folder"
    )
    require(
        suffix != ".py" or output.stem not in HIDDEN,
        f"{output.name} would hide a package from whatever runs in its folder; choose another --output",
    )
    return output.parent, output.name


def _chosen_text(study: StoredStudy, chosen: RankedTrial, places: list[RankedTrial]) -> str:
    untrained_ap = read_untrained(study)
    warning = "" if has_learnt(chosen, untrained_ap) else f", no better than an untrained detector ({untrained_ap:.3f})"
    text = alike_text(chosen, alike(places)) if chosen.rank == 1 else ""
    rivals = f"; {text}" if text else ""
    return f"trial {chosen.number}, AP {chosen.ap_text} after {chosen.images} images{warning}{rivals}"


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


def _configuration_of(
    study: StoredStudy, launched: Specification, place: RankedTrial, dataset: Dataset, *, folder: Path
) -> Configuration:
    """The complete configuration of one trial; paths to the data are relative to the folder."""
    parameters = read_trials(study)[place.number].params
    return Configuration(
        hyperparameters=launched.hyperparameters(place.number, parameters),
        detector=replace(launched.detector.detector(), micro_batch=launched.micro_batch),
        classes=dataset.classes,
        data=_relative(launched.data, folder),
        provenance=Provenance(
            study=launched.name,
            trial=place.number,
            ap=place.ap or 0.0,
            ap_error=place.ap_error,
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
