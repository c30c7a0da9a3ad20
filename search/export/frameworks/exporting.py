"""Writes a configuration for other frameworks: their files, the annotations, and export.json beside them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detector.config import ConfigError, require
from detector.data.dataset import Dataset
from search.export.configuration_file import Configuration
from search.export.frameworks.annotation_files import TRAIN, VALIDATION, annotation_text, split_files
from search.export.frameworks.detectron2 import DETECTRON2
from search.export.frameworks.fidelity import Fidelity, Level, values_of
from search.export.frameworks.framework import Framework
from search.export.frameworks.geometry import expressible_geometry
from search.export.frameworks.head import WRITTEN, head, one_line, schedule_text, short_head
from search.export.frameworks.mmdet import MMDET
from search.export.frameworks.recipe import Recipe
from search.export.frameworks.tf_od import TF_OD
from search.export.frameworks.tfm import TFM
from search.export.frameworks.torchvision import TORCHVISION
from search.report.value_text import value_text
from search.study.yaml_text import write_text

#: What a configuration can be written as beside our own file: a new one is a module, and a line here.
FRAMEWORKS: Mapping[str, Framework] = {each.format: each for each in (DETECTRON2, MMDET, TORCHVISION, TF_OD, TFM)}
RECORD = "export.json"
_MARK = WRITTEN.encode()
_HEAD_BYTES = 200  # within which a file of ours names itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What was left in a folder, and what whoever trains it must know."""

    files: tuple[Path, ...]
    lines: tuple[str, ...]  # schedule and commands
    warnings: tuple[str, ...]


def write_frameworks(
    configuration: Configuration,
    datasets: tuple[Dataset, Dataset],
    formats: Sequence[str],
    *,
    folder: Path,
    name: str | None,
    images: int | None,
) -> Written:
    """Write the formats into the folder; with `name`, the first file of the only one has it.

    Of several formats those that would be another detector are left out, with a warning.

    Raises:
        ConfigError: none can be written, a file is in the way, or the folder cannot be written.
    """
    recipe = recipe_of(configuration, datasets, folder=folder, images=images)
    texts, entries, refused = _texts(recipe, formats, name)
    if not entries:
        raise ConfigError("; ".join(refused.values()))
    texts |= {split: annotation_text(each) for split, each in zip((TRAIN, VALIDATION), datasets, strict=True)}
    paths = {file: folder / file for file in (*texts, RECORD)}
    for path in paths.values():
        require_ours(path)
    texts[RECORD] = _record_text(folder / RECORD, entries)
    _make(folder)
    for file, text in texts.items():
        write_text(paths[file], text)
    commands = [f"train with {FRAMEWORKS[each].title}: {entry['command']}" for each, entry in entries.items()]
    return Written(
        files=tuple(paths.values()),
        lines=(f"schedule for {schedule_text(recipe)}", *commands),
        warnings=(*_warnings(recipe, entries), *(f"{each}: not written: {why}" for each, why in refused.items())),
    )


def recipe_of(
    configuration: Configuration, datasets: tuple[Dataset, Dataset], *, folder: Path, images: int | None
) -> Recipe:
    """What the frameworks are told; without `images` the training is as long as the study's budget.

    Raises:
        ConfigError: the detector is none that they can be told of.
    """
    canvas = configuration.detector.canvas
    geometry = expressible_geometry(configuration.detector)
    train, validation = (
        split_files(dataset, name, folder=folder, canvas=canvas)
        for dataset, name in zip(datasets, (TRAIN, VALIDATION), strict=True)
    )
    length = configuration.provenance.budget_images if images is None else images
    return Recipe(configuration=configuration, images=length, train=train, validation=validation, geometry=geometry)


def _texts(
    recipe: Recipe, formats: Sequence[str], name: str | None
) -> tuple[dict[str, str], dict[str, dict[str, Any]], dict[str, str]]:
    """The files of all formats with their heads, what export.json says of each, and which were refused for what."""
    texts: dict[str, str] = {}
    entries: dict[str, dict[str, Any]] = {}
    refused: dict[str, str] = {}
    for each in formats:
        framework = FRAMEWORKS[each]
        first = name or framework.files[0]
        try:
            fidelity = framework.fidelity(recipe)
            texts |= _headed(framework, recipe, fidelity, first)
            entries[each] = _entry(framework, recipe, fidelity, first)
        except ConfigError as error:
            refused[each] = str(error)
    return texts, entries, refused


def _headed(framework: Framework, recipe: Recipe, fidelity: Fidelity, first: str) -> dict[str, str]:
    command = one_line(framework.command(recipe, first))
    whole = head(
        recipe,
        fidelity,
        format=framework.format,
        title=framework.title,
        version=framework.version,
        command=command,
    )
    bodies = framework.texts(recipe, first)
    return {file: (whole + "\n" if file == first else short_head(first)) + body for file, body in bodies.items()}


def _entry(framework: Framework, recipe: Recipe, fidelity: Fidelity, first: str) -> dict[str, Any]:
    origin = recipe.configuration.provenance
    return {
        "format": framework.format,
        "framework": framework.title,
        "framework_version_tested": framework.version,
        "study": origin.study,
        "trial": origin.trial,
        "images": recipe.images,
        "batch_size": recipe.batch_size,
        "iterations": recipe.iterations,
        "files": [first, *framework.files[1:]],
        "command": framework.command(recipe, first),
        "keys": {key: str(fidelity[key]) for key in values_of(recipe.configuration)},
    }


def _record_text(path: Path, entries: Mapping[str, Any]) -> str:
    """export.json, with what earlier exports into the folder said of other formats."""
    former = json.loads(path.read_text(encoding="utf-8"))["exports"] if path.exists() else {}
    return json.dumps({"written_by": WRITTEN, "exports": {**former, **entries}}, indent=1) + "\n"


def _warnings(recipe: Recipe, entries: Mapping[str, Any]) -> list[str]:
    values = values_of(recipe.configuration)
    shown = {key: value_text(value) if isinstance(value, float) else one_line(value) for key, value in values.items()}
    return [
        f"{each}: {key} = {shown[key]} is {note}"
        for each, entry in entries.items()
        for key, note in entry["keys"].items()
        if note.startswith(Level.NOT_EXPRESSED)
    ]


def require_ours(path: Path) -> None:
    """Nothing but an earlier export may be replaced.

    Raises:
        ConfigError: something else lies there.
    """
    if not path.exists():
        return
    require(path.is_file(), f"{path} is a folder; choose another --output, or move it away")
    with path.open("rb") as file:
        ours = _MARK in file.read(_HEAD_BYTES)
    require(ours, f"{path} is there and is not an export; choose another --output, or move it away")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written ({error.strerror}); choose another --output") from error
