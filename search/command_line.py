"""The command `frcnn-search`. Everything heavy is imported by the command that needs it, so that help is instant."""

import sys

import typer

from search.commands import data, launch, results, study
from search.commands.misuse import report_misuse
from search.terminal import guard_streams

app = typer.Typer(
    name="frcnn-search",
    help="Hyperparameter search for Faster R-CNN: finds the configuration that trains on your data.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)

#: Every command, by the heading under which help lists it.
COMMANDS = {
    "Study": (launch.launch, study.status, results.explain, study.dashboard, study.worker),
    "Results": (results.export, results.train, results.evaluate, results.predict),
    "Data": (data.doctor, data.convert, data.sample_data),
}
for _heading, _commands in COMMANDS.items():
    for _command in _commands:
        app.command(rich_help_panel=_heading)(_command)


def main() -> None:
    """The entry point of the installed command."""
    guard_streams()
    try:
        code = app(prog_name="frcnn-search", standalone_mode=False)
    except typer.TyperException as error:
        code = report_misuse(error, sys.argv[1:])
    sys.exit(code or 0)


if __name__ == "__main__":
    main()
