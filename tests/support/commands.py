"""Commands in text that people copy, parsed by the real command line without running them."""

import re
import shlex
from collections.abc import Iterator
from typing import Any

import typer

from search.command_line import app

NAMES = "|".join(typer.main.get_command(app).commands)
UsageError = typer.BadParameter.__mro__[1]  # typer brings its own click
PLACEHOLDERS = {"${WORKERS:-8}": "8", "N": "2"}  # what stands where a number must


def command_lines(text: str) -> Iterator[list[str]]:
    """The arguments of each `frcnn-search` in shell text, comments included; a line may go on after a backslash."""
    for line in text.replace("\\\n", " ").splitlines():
        for found in re.finditer(rf"(?:^|[\s`])frcnn-search ((?:{NAMES})\b[^`;]*)", line):
            yield shlex.split(found[1], comments=True)


def parse(arguments: list[str]) -> dict[str, Any]:
    """What the command line makes of the arguments.

    Raises:
        UsageError: there is no such command or option, or a value is none.
    """
    name, *rest = [PLACEHOLDERS.get(argument, argument) for argument in arguments]
    return typer.main.get_command(app).commands[name].make_context(name, rest).params
