"""Commands on data, before any study."""

import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from detector.config import ConfigError
from search.commands.study_file import StudyFile
from search.commands.their_file import FromFormat, Gpus, TheirFile, their_source
from search.exit_codes import ExitCode, exit_codes
from search.study.default_file import DEFAULT_STUDY_FILE
from search.terminal import PlainConsole, say

if TYPE_CHECKING:
    from search.doctor.diagnosis import Diagnosis, Look
    from search.imports.importing import Source
    from search.study.specification import Specification


def doctor(
    study_file: StudyFile = DEFAULT_STUDY_FILE,
    data: Annotated[
        Path | None, typer.Option(help="A folder of data, or a file of annotations, in place of a study file.")
    ] = None,
    canvas: Annotated[
        str | None, typer.Option(metavar="HxW", help="Size of the images in training, in pixels: multiples of 32.")
    ] = None,
    pictures: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also draw boxes and anchors: PNG files in this folder.")
    ] = None,
    write_space: Annotated[
        bool, typer.Option("--write-space", help="Put the proposed ranges and counts into the study file.")
    ] = False,
    from_: TheirFile = None,
    from_format: FromFormat = None,
    gpus: Gpus = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
) -> None:
    """Say what is wrong with the data and how anchors fit it, before any training. Exit code 2 where it can't train."""
    with exit_codes():
        from search.doctor.diagnosis import examine, refused
        from search.doctor.diagnosis_text import diagnosis_json, diagnosis_report
        from search.study.first_launch import dataset_specification
        from search.study.named_paths import require_data
        from search.study.study_file import Options, load_study_file, with_options

        if data is not None and write_space:
            raise ConfigError("--write-space changes a study file, but --data names none; `launch --data` writes one")
        try:
            if data is not None:
                specification = dataset_specification(data)
            else:
                specification = load_study_file(study_file)
                require_data(study_file, specification.data)
            specification = with_options(specification, Options(canvas=canvas))
            diagnosis = examine(specification, _look(specification, their_source(from_, from_format, gpus)))
        except ConfigError as error:
            diagnosis = refused(str(data or study_file), error)
        if as_json:
            say(diagnosis_json(diagnosis))
        else:
            console = PlainConsole()
            console.print(diagnosis_report(diagnosis))
            if from_ is not None and diagnosis.theirs is None:
                console.print(f"{from_} is looked at when the data can be used")
            if diagnosis.canvas is not None:
                console.print(_what_is_next(diagnosis, study_file, data, from_))
        if pictures is not None:
            _draw(diagnosis, pictures)
        if write_space:
            _write_space(study_file, diagnosis)
        raise typer.Exit(ExitCode.USER_MUST_ACT if diagnosis.has_errors else ExitCode.DONE)


def _look(specification: "Specification", source: "Source | None") -> "Look | None":
    """What looks at a file of theirs, where one was named."""
    from search.imports.importing import their_findings

    return None if source is None else partial(their_findings, source, canvas=specification.detector.canvas)


def convert(
    data: Annotated[
        Path, typer.Option(help="A folder of data, a file of annotations, or a study file with its section `data`.")
    ],
    to: Annotated[str, typer.Option(metavar="FORMAT", help="coco, voc or yolo.")],
    output: Annotated[Path, typer.Option(metavar="DIR", help="A new folder for images and annotations.")],
) -> None:
    """Write a dataset anew in another format, with its images; boxes and classes stay as they are."""
    with exit_codes():
        from search.study.conversion import run_conversion

        run_conversion(data, to, output, PlainConsole())


def sample_data(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder.")],
    seed: Annotated[int, typer.Option(help="The same seed writes the same bytes.")] = 0,
) -> None:
    """Write a small synthetic dataset: COCO JSON and images of discs, squares and triangles."""
    with exit_codes():
        from detector.data.sample_data import write_sample

        try:
            write_sample(folder, seed=seed)
        except OSError as error:
            why = error.strerror or error
            raise ConfigError(f"{folder}: can't be written ({why}); make room, or name another folder") from error
        say(f"wrote {folder}; next: frcnn-search launch --data {shlex.quote(str(folder))}")


def _what_is_next(diagnosis: "Diagnosis", study_file: Path, data: Path | None, their_file: Path | None) -> str:
    """The command that follows; where settings are to be changed, one that writes the file in which they stand."""
    of = shlex.quote(str(study_file))
    if data is not None and their_file is not None and not any(each.level == "error" for each in diagnosis.diagnostics):
        command = f"frcnn-search launch --data {shlex.quote(str(data))} --from {shlex.quote(str(their_file))}"
        return f"next, to train it as trial 0 and to search from there: {command}"
    if data is None:
        command = f"frcnn-search launch {of}"
        return f"when the errors are mended: {command}" if diagnosis.has_errors else f"next: {command}"
    named = "" if study_file == DEFAULT_STUDY_FILE else f" {of}"
    command = f"frcnn-search launch{named} --data {shlex.quote(str(data))}"
    written = f"next, to write {study_file} with all settings and to mend there what is called an error: {command}"
    return written if diagnosis.has_errors else f"next: {command}"


def _draw(diagnosis: "Diagnosis", folder: Path) -> None:
    from search.doctor.anchor_pictures import draw_diagnosis

    files = draw_diagnosis(diagnosis, folder)
    say("\n".join(f"drew {file}" for file in files) or "nothing to draw", err=True)


def _write_space(study_file: Path, diagnosis: "Diagnosis") -> None:
    from search.study.space_writing import write_space

    if not diagnosis.space:
        raise ConfigError(f"{study_file}: there is no space to propose; see the findings")
    write_space(study_file, diagnosis.space, diagnosis.detector or {})
    say(f"wrote the proposed ranges to {study_file}", err=True)
