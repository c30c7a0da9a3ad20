"""Commands on a study that is there: its workers, its state, its dashboard."""

from pathlib import Path
from typing import Annotated

import typer

from search.commands.study_file import StudyFile, opened
from search.exit_codes import exit_codes
from search.study.default_file import DEFAULT_STUDY_FILE
from search.terminal import PlainConsole, say


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


def status(
    study_file: StudyFile = DEFAULT_STUDY_FILE,
    ranking: Annotated[bool, typer.Option("--ranking", help="Also list every trial, best first.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
) -> None:
    """How the study stands: states, best so far, causes of death, trials per hour, what runs where."""
    with exit_codes(), opened(study_file) as (specification, stored):
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
            launched = as_launched(stored, storage=specification.storage)
            console.print(ranking_table(rank(stored), launched.space, launched.imported))


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
    with exit_codes(), opened(study_file) as (specification, stored):
        from search.dashboard.server import read_password, serve
        from search.plan import as_launched

        launched = as_launched(stored, storage=specification.storage)
        serve(
            stored,
            launched.space,
            launched.imported,
            host=host,
            port=port,
            password=read_password(password_file),
            writable=writable,
            allowed_hosts=allow_host or (),
            all_studies=all_studies,
            announce=say,
        )
