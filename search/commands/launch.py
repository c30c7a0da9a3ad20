"""`launch`: a study created or resumed, and run."""

from dataclasses import replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from detector.config import WEIGHTS_CHOICES, BackboneName, ConfigError, DetectorSettings
from search.commands.study_file import StudyFile
from search.commands.their_file import FromFormat, Gpus, TheirFile, their_source
from search.exit_codes import exit_codes
from search.study.default_file import DEFAULT_STUDY_FILE
from search.terminal import PlainConsole, say

if TYPE_CHECKING:
    from search.engines.handle import Executor
    from search.imports.importing import Source
    from search.launch.overrides import Overridden
    from search.study.study_file import Options


class EngineName(StrEnum):
    """What runs the workers of a launch."""

    LOCAL = "local"
    RAY = "ray"


#: Headings of the options in help.
NEW, SETTINGS, PLACES = "A new study", "Over the study file's settings", "Where the workers run"

Engines = Annotated[
    EngineName, typer.Option(rich_help_panel=PLACES, help="Where the workers run: this machine, or a Ray cluster.")
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        rich_help_panel=PLACES, help="HOST:PORT of a Ray cluster (default: RAY_ADDRESS, or a new one on this machine)."
    ),
]
GpusPerWorker = Annotated[
    float | None,
    typer.Option(rich_help_panel=PLACES, help="With --engine ray: GPUs, or a part of one (default: an equal share)."),
]
CpusPerWorker = Annotated[
    float | None, typer.Option(rich_help_panel=PLACES, help="With --engine ray: CPU cores (default: 1).")
]


def launch(
    study_file: StudyFile = DEFAULT_STUDY_FILE,
    data: Annotated[
        Path | None,
        typer.Option(
            rich_help_panel=NEW,
            help="A folder of data, or a file of annotations: writes the study file for it, then launches.",
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(rich_help_panel=NEW, help="Name of the study; with --data only.")] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=NEW,
            help="Database URL, or env:NAME to keep a password out of the study file; with --data only.",
        ),
    ] = None,
    trials: Annotated[
        int | None, typer.Option(rich_help_panel=SETTINGS, min=1, help="Number of trials of the whole study.")
    ] = None,
    trainings: Annotated[
        float | None,
        typer.Option(
            rich_help_panel=SETTINGS,
            min=0.1,
            help="Budget of the whole study, in full trainings; as many trials as it is enough for.",
        ),
    ] = None,
    images: Annotated[
        int | None,
        typer.Option(rich_help_panel=SETTINGS, min=1, help="Budget of one full trial, in training images seen."),
    ] = None,
    canvas: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=SETTINGS, metavar="HxW", help="Size of the images in training, in pixels: multiples of 32."
        ),
    ] = None,
    backbone: Annotated[
        BackboneName | None,
        typer.Option(
            rich_help_panel=SETTINGS,
            help="Of the detector; the smaller ones make trials cheaper (a new study has resnet50, or that of --from).",
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(rich_help_panel=SETTINGS, min=1, help="Number of workers, each with its own trainer.")
    ] = None,
    from_: TheirFile = None,
    from_format: FromFormat = None,
    gpus: Gpus = None,
    weights: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=SETTINGS,
            help=f"Weights to start from: {WEIGHTS_CHOICES} (ours, Keras's, torchvision's, Detectron2's).",
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(rich_help_panel=SETTINGS, min=0, help="Seed of proposals, weights and data order.")
    ] = None,
    only_create: Annotated[
        bool,
        typer.Option(
            "--only-create",
            rich_help_panel=NEW,
            help="Check the data and create the study, for workers elsewhere; run none.",
        ),
    ] = False,
    continue_as: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=NEW,
            metavar="NAME",
            help="Go on under another name, with the file's settings of today, from the best trials.",
        ),
    ] = None,
    despite_errors: Annotated[
        bool,
        typer.Option(
            "--despite-errors",
            rich_help_panel=NEW,
            help="Begin the study although the doctor calls something an error.",
        ),
    ] = False,
    engine: Engines = EngineName.LOCAL,
    ray_address: RayAddress = None,
    gpus_per_worker: GpusPerWorker = None,
    cpus_per_worker: CpusPerWorker = None,
) -> None:
    """Create or resume a study and run it: progress, then the ranking. Ctrl-c stops it; a second launch goes on."""
    with exit_codes():
        import optuna

        from search.launch.launching import launch as run
        from search.launch.launching import only_create as create
        from search.study.study_file import Options
        from search.worker.process import refuse_secret

        if storage is not None:
            refuse_secret(storage)
        optuna.logging.set_verbosity(optuna.logging.WARNING)  # our own lines say what it would
        options = Options(
            name=name,
            storage=storage,
            workers=workers,
            trials=trials,
            trainings=trainings,
            images=images,
            canvas=canvas,
            backbone=backbone,
            weights=weights,
            seed=seed,
        )
        chosen = _engine(engine, address=ray_address, gpus_per_worker=gpus_per_worker, cpus_per_worker=cpus_per_worker)
        if continue_as is not None:
            study_file = _continued(study_file, continue_as, data)
        launched = _launched(study_file, data, options, their_source(from_, from_format, gpus))
        begin = create if only_create else partial(run, executor=chosen)
        code = begin(
            launched.specification,
            folder=study_file.resolve().parent,
            despite_errors=despite_errors,
            study_file=study_file,
            overrides=launched.overrides,
        )
        raise typer.Exit(code)


def _engine(name: EngineName, **options: Any) -> "Executor":
    """Where to run workers; options that are None keep the engine's defaults."""
    from search.engines.local_executor import LocalExecutor
    from search.engines.ray_executor import RayExecutor, require_installed

    given = {key: value for key, value in options.items() if value is not None}
    if name is EngineName.RAY:
        engine = RayExecutor(**given)
        require_installed()
        return engine
    if given:
        flags = " and ".join("--ray-address" if key == "address" else f"--{key.replace('_', '-')}" for key in given)
        raise ConfigError(f"{flags} must come with --engine ray; workers of this machine share its GPUs by themselves")
    return LocalExecutor()


def _launched(study_file: Path, data: Path | None, options: "Options", source: "Source | None") -> "Overridden":
    """What to launch; with a dataset folder, from a study file that is written first, with an imported trial 0."""
    from search.launch.overrides import over_file
    from search.study.first_launch import write_study_file
    from search.study.named_paths import require_data
    from search.study.study_file import Options, load_study_file
    from search.worker.local_paths import LocalPaths

    if source is not None and data is None:
        raise ConfigError("--from must come with --data: it begins a study, and its file is written from both")
    if data is not None:
        from search.launch.first_weights import first_weights
        from search.launch.imported_trial import imported_trial

        trial = imported_trial(source, data, options, PlainConsole()) if source else None
        if trial is not None:  # with a file of theirs the study has the weights that are named, or none
            options = replace(options, canvas=trial.canvas, backbone=trial.backbone)
            wrote = write_study_file(study_file, data, options, trial.section, trial.frozen_stages)
        else:
            backbone = BackboneName(options.backbone) if options.backbone else DetectorSettings().backbone
            choose = partial(first_weights, backbone, PlainConsole())
            wrote = write_study_file(study_file, data, options, choose_weights=choose)
        if wrote:
            say(f"wrote {study_file}: every setting of the study, to look at and to change")
        return over_file(load_study_file(study_file), Options())  # the file has them
    useless = [f"--{name}" for name in ("name", "storage") if getattr(options, name) is not None]
    if useless:
        raise ConfigError(
            f"{' and '.join(useless)} must come with --data; for a study that is there, edit {study_file}"
        )
    file = load_study_file(study_file)
    if file.trainer == "detector" and LocalPaths.here().data_root is None:
        require_data(study_file, file.data)
    launched = over_file(file, options)
    if launched.recalled:
        say(f"as launched before, over {study_file}: {' '.join(launched.recalled)}; edit the file there to change it")
    if launched.defaults_of_then:
        kept = ", ".join(launched.defaults_of_then)
        say(f"as the study was begun: {kept}; to search by today's defaults instead, launch with --continue-as NAME")
    return launched


def _continued(study_file: Path, name: str, data: Path | None) -> Path:
    from search.launch.continuation import write_continuation

    if data is not None:
        raise ConfigError("--continue-as goes on from a study file, but --data begins one; leave one of them out")
    new = write_continuation(study_file, name)
    say(f"wrote {new}: its first trials are the best of the study in {study_file}")
    return new
