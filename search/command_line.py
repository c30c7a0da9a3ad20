"""The command `frcnn-search`. Everything heavy is imported by the command that needs it, so that help is instant."""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from detector.config import ConfigError
from search.exit_codes import ExitCode, exit_codes
from search.terminal import PlainConsole, guard_streams, say

if TYPE_CHECKING:
    from search.doctor.diagnosis import Diagnosis
    from search.engines.handle import Executor
    from search.study.specification import Specification
    from search.study.study_file import Options
    from storage.study import StoredStudy

app = typer.Typer(
    name="frcnn-search",
    help="Hyperparameter search for Faster R-CNN: finds the configuration that trains on your data.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

StudyFile = Annotated[Path, typer.Argument(metavar="STUDY_FILE", help="The study file.")]
DEFAULT_STUDY_FILE = Path("study.yaml")


class EngineName(StrEnum):
    """What runs the workers of a launch."""

    LOCAL = "local"
    RAY = "ray"


Engines = Annotated[EngineName, typer.Option(help="Where the workers run: this machine, or a Ray cluster.")]
RayAddress = Annotated[
    str | None, typer.Option(help="HOST:PORT of a Ray cluster (default: RAY_ADDRESS, or a new one on this machine).")
]
GpusPerWorker = Annotated[
    float | None, typer.Option(help="With --engine ray: GPUs, or a part of one (default: an equal share).")
]
CpusPerWorker = Annotated[float | None, typer.Option(help="With --engine ray: CPU cores (default: 1).")]


def main() -> None:
    """The entry point of the installed command."""
    guard_streams()
    app()


@app.command(rich_help_panel="Study")
def launch(
    study_file: StudyFile = DEFAULT_STUDY_FILE,
    data: Annotated[
        Path | None,
        typer.Option(help="A folder of data, or a file of annotations: writes the study file for it, then launches."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the study; with --data only.")] = None,
    storage: Annotated[
        str | None,
        typer.Option(help="Database URL, or env:NAME to keep a password out of the study file; with --data only."),
    ] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Number of trials of the whole study.")] = None,
    images: Annotated[
        int | None, typer.Option(min=1, help="Budget of one full trial, in training images seen.")
    ] = None,
    canvas: Annotated[
        str | None, typer.Option(metavar="HxW", help="Size of the images in training, in pixels: multiples of 32.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Number of workers, each with its own trainer.")] = None,
    weights: Annotated[
        str | None, typer.Option(help="Backbone weights to start from: imagenet, none, or the path of a file.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of proposals, weights and data order.")] = None,
    only_create: Annotated[
        bool,
        typer.Option("--only-create", help="Check the data and create the study, for workers elsewhere; run none."),
    ] = False,
    continue_as: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Go on under another name, with the file's settings of today, from the best trials."
        ),
    ] = None,
    despite_errors: Annotated[
        bool, typer.Option("--despite-errors", help="Begin the study although the doctor calls something an error.")
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
            images=images,
            canvas=canvas,
            weights=weights,
            seed=seed,
        )
        chosen = _engine(engine, address=ray_address, gpus_per_worker=gpus_per_worker, cpus_per_worker=cpus_per_worker)
        if continue_as is not None:
            study_file = _continued(study_file, continue_as, data)
        specification, folder = _specification(study_file, data, options), study_file.resolve().parent
        if only_create:
            raise typer.Exit(create(specification, folder=folder, despite_errors=despite_errors))
        raise typer.Exit(
            run(specification, folder=folder, executor=chosen, despite_errors=despite_errors, study_file=study_file)
        )


@app.command(rich_help_panel="Data")
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
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
) -> None:
    """Say what is wrong with the data and how anchors fit it, before any training. Exit code 2 where it can't train."""
    with exit_codes():
        from search.doctor.diagnosis import examine, refused
        from search.doctor.diagnosis_text import diagnosis_json, diagnosis_report
        from search.study.first_launch import dataset_specification
        from search.study.study_file import Options, load_study_file, with_options

        if data is not None and write_space:
            raise ConfigError("--write-space changes a study file, but --data names none; `launch --data` writes one")
        try:
            specification = dataset_specification(data) if data is not None else load_study_file(study_file)
            diagnosis = examine(with_options(specification, Options(canvas=canvas)))
        except ConfigError as error:
            diagnosis = refused(str(data or study_file), error)
        if as_json:
            say(diagnosis_json(diagnosis))
        else:
            PlainConsole().print(diagnosis_report(diagnosis))
        if pictures is not None:
            _draw(diagnosis, pictures)
        if write_space:
            _write_space(study_file, diagnosis)
        raise typer.Exit(ExitCode.USER_MUST_ACT if diagnosis.has_errors else ExitCode.DONE)


@app.command(rich_help_panel="Study")
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


@app.command(rich_help_panel="Study")
def worker(
    storage: Annotated[
        str, typer.Option(help="env:NAME or file:PATH that holds the database URL, or a URL without a password.")
    ],
    study: Annotated[str, typer.Option(help="Name of a study that was launched once.")],
    folder: Annotated[Path, typer.Option(help="Where this machine keeps checkpoints, caches and logs.")] = Path(),
    data_root: Annotated[
        Path | None,
        typer.Option(help="Folder of the study's data on this machine, if it lies elsewhere (or: FRCNN_DATA_ROOT)."),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(help="Folder of this machine for decoded images (or: FRCNN_CACHE; default: below --folder)."),
    ] = None,
    lease_s: Annotated[float, typer.Option(min=0.1, help="If this worker dies, its trial is free after so long.")] = 60,
    give_up_s: Annotated[
        float, typer.Option(min=0, help="Leave, with exit code 75, when the database has been away for so long.")
    ] = 600,
    launched: Annotated[
        bool, typer.Option("--launched", hidden=True, help="By `launch`, which reads our pipes.")
    ] = False,
    checked: Annotated[bool, typer.Option("--checked", hidden=True, help="Code and data are the study's.")] = False,
) -> None:
    """Work on a study from any machine: it needs only the database and the study's name. Any number may do so."""
    with exit_codes(on_stdout=launched):
        from search.worker.loop import Pace
        from search.worker.process import work

        pace = Pace(lease_s=lease_s, give_up_s=give_up_s)
        raise typer.Exit(
            work(
                storage,
                study,
                folder=folder,
                data_root=data_root,
                cache=cache,
                pace=pace,
                checked=checked,
                follow_stdin=launched,
            )
        )


@app.command(rich_help_panel="Study")
def status(
    study_file: StudyFile = DEFAULT_STUDY_FILE,
    ranking: Annotated[bool, typer.Option("--ranking", help="Also list every trial, best first.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
) -> None:
    """How the study stands: states, best so far, causes of death, trials per hour, what runs where."""
    with exit_codes(), _opened(study_file) as (specification, stored):
        from search.plan import as_launched, logs_folder, trials_folder
        from search.report.ranking import ranking as rank
        from search.report.ranking import ranking_table
        from search.report.status import read_status, status_json
        from search.report.status_table import status_table

        folder = study_file.resolve().parent
        now = read_status(stored, folders=(trials_folder(folder, stored.name), logs_folder(folder)))
        if as_json:
            say(status_json(now))
            return
        console = PlainConsole()
        console.print(status_table(now))
        if ranking:
            console.print(ranking_table(rank(stored), as_launched(stored, storage=specification.storage).space))


@app.command(rich_help_panel="Results")
def explain(
    study_file: StudyFile = DEFAULT_STUDY_FILE,
    trial: Annotated[
        int | None, typer.Argument(min=0, metavar="TRIAL", help="Number of a trial; without one, the whole study.")
    ] = None,
    confirm: Annotated[
        bool, typer.Option("--confirm", help="Replay the trial and its repair for a short while: does the repair hold?")
    ] = False,
    images: Annotated[
        int | None, typer.Option(min=1, help="Training images of each replay [default: half as many more as it took].")
    ] = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Also write one self-contained page.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
    without_data: Annotated[
        bool, typer.Option("--without-data", help="Read no image or annotation: no anchors, no images of a batch.")
    ] = False,
) -> None:
    """Say why trials failed and what to change; of one trial, with its evidence and the smallest repair."""
    with exit_codes():
        from search.explanation.explain_command import Options
        from search.explanation.explain_command import explain as run

        if trial is None and study_file.name.isdecimal() and not study_file.exists():
            study_file, trial = DEFAULT_STUDY_FILE, int(study_file.name)  # `explain 3`
        if images is not None and not confirm:
            raise ConfigError("--images is the length of a replay; give it together with --confirm")
        options = Options(
            trial=trial, confirm=confirm, images=images, html=html, as_json=as_json, with_data=not without_data
        )
        with _opened(study_file) as (specification, stored):
            run(stored, specification, options, folder=study_file.resolve().parent, console=PlainConsole())
        if html is not None:
            say(f"wrote {html}", err=True)


@app.command(rich_help_panel="Results")
def export(
    study_file: StudyFile = DEFAULT_STUDY_FILE,
    output: Annotated[Path, typer.Option(help="The file to write.")] = Path("best.yaml"),
    trial: Annotated[int | None, typer.Option(min=0, help="Number of another trial than the best.")] = None,
    format: Annotated[str, typer.Option(help="What to write it as; frcnn is what `train` reads.")] = "frcnn",
) -> None:
    """Write the best configuration, complete, with where it comes from. `train` runs it in full."""
    with exit_codes(), _opened(study_file) as (specification, stored):
        from search.export.export import export as write

        say(write(stored, specification, output=output, trial=trial, format=format))


@app.command(rich_help_panel="Results")
def train(
    configuration: Annotated[Path, typer.Argument(help="A file that `export` wrote.")],
    images: Annotated[
        int | None, typer.Option(min=1, help="Training images to see (default: the budget of the trial).")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Another folder of data than the study's.")] = None,
    output: Annotated[Path, typer.Option(help="Folder for the weights and the checkpoint.")] = Path("trained"),
    seed: Annotated[int | None, typer.Option(help="Seed of weights and batches (default: the trial's).")] = None,
) -> None:
    """Train one configuration in full, print its COCO AP and keep the weights. Run it again to go on after ctrl-c."""
    with exit_codes():
        from search.export.training import train as run

        raise typer.Exit(run(configuration, images=images, data=data, output=output, seed=seed))


@app.command(rich_help_panel="Results")
def evaluate(
    weights: Annotated[Path, typer.Argument(metavar="WEIGHTS", help="weights.safetensors, as `train` leaves it.")],
    data: Annotated[
        Path,
        typer.Option(
            help="A folder, a file of annotations, or a file with a section `data`; its validation split, or all."
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
) -> None:
    """COCO AP of trained weights on annotated data, overall, by size and by class."""
    with exit_codes():
        from search.export.evaluation import evaluate as run

        metrics = run(weights, data, PlainConsole(quiet=as_json))
        if as_json:
            say(json.dumps({name: None if math.isnan(value) else value for name, value in metrics.items()}, indent=2))


@app.command(rich_help_panel="Results")
def predict(
    weights: Annotated[Path, typer.Argument(metavar="WEIGHTS", help="weights.safetensors, as `train` leaves it.")],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE…", help="Image files, or folders of them.")],
    output: Annotated[Path, typer.Option(metavar="DIR", help="Folder for detections.json and the pictures.")],
    least_score: Annotated[float, typer.Option(min=0, max=1, help="Objects with less are left out.")] = 0.5,
) -> None:
    """Find objects in images: COCO JSON with scores, and a picture of each image with boxes and names."""
    with exit_codes():
        from search.export.prediction import predict as run

        run(weights, images, output, least_score=least_score, console=PlainConsole())


@app.command(rich_help_panel="Study")
def dashboard(
    study_file: StudyFile = DEFAULT_STUDY_FILE,
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than loopback need a password.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8080,
    writable: Annotated[
        bool, typer.Option("--writable", help="Allow editing notes and deleting the study; needs a password.")
    ] = False,
    allow_host: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Another host name to answer to; repeatable.")
    ] = None,
    all_studies: Annotated[
        bool, typer.Option("--all-studies", help="Show every study of the database, not this one alone.")
    ] = False,
    password_file: Annotated[
        Path | None,
        typer.Option(help="File with the password, mode 600 (default: the variable FRCNN_DASHBOARD_PASSWORD, if set)."),
    ] = None,
) -> None:
    """Serve the Optuna dashboard on this study, read-only, with the reason why each trial ended. Ctrl-c stops it."""
    with exit_codes(), _opened(study_file) as (specification, stored):
        from search.dashboard.server import read_password, serve
        from search.plan import as_launched

        serve(
            stored,
            as_launched(stored, storage=specification.storage).space,
            host=host,
            port=port,
            password=read_password(password_file),
            writable=writable,
            allowed_hosts=allow_host or (),
            all_studies=all_studies,
            announce=say,
        )


@app.command(rich_help_panel="Data")
def sample_data(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder.")],
    seed: Annotated[int, typer.Option(help="The same seed writes the same bytes.")] = 0,
) -> None:
    """Write a small synthetic dataset: COCO JSON and images of discs, squares and triangles."""
    with exit_codes():
        from detector.data.sample_data import write_sample

        write_sample(folder, seed=seed)
        say(f"wrote {folder}; next: frcnn-search launch --data {folder}")


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


def _specification(study_file: Path, data: Path | None, options: "Options") -> "Specification":
    """What to launch; with a dataset folder, from a study file that is written first."""
    from search.study.first_launch import write_study_file
    from search.study.study_file import load_study_file, with_options

    if data is not None:
        if write_study_file(study_file, data, options):
            say(f"wrote {study_file}: every setting of the study, to look at and to change")
        return load_study_file(study_file)
    useless = [f"--{name}" for name in ("name", "storage") if getattr(options, name) is not None]
    if useless:
        raise ConfigError(
            f"{' and '.join(useless)} must come with --data; for a study that is there, edit {study_file}"
        )
    return with_options(load_study_file(study_file), options)


def _continued(study_file: Path, name: str, data: Path | None) -> Path:
    from search.launch.continuation import write_continuation

    if data is not None:
        raise ConfigError("--continue-as goes on from a study file, but --data begins one; leave one of them out")
    new = write_continuation(study_file, name)
    say(f"wrote {new}: its first trials are the best of the study in {study_file}")
    return new


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


@contextmanager
def _opened(study_file: Path) -> Iterator[tuple["Specification", "StoredStudy"]]:
    """The study that the file describes, as it lies in its database, which must exist."""
    from search.study.study_file import load_study_file
    from storage.connection.address import Address
    from storage.connection.database import Database
    from storage.study import find_study

    specification = load_study_file(study_file)
    path = Address.parse(specification.storage).path
    if path is not None and not path.exists():
        raise ConfigError(f"{path}: there is no such study yet; begin with `frcnn-search launch {study_file}`")
    with Database.open(specification.storage) as database:
        yield specification, find_study(database, specification.name)


if __name__ == "__main__":
    main()
