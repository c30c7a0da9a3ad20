"""What is said of a command line that can't be taken as it stands: one sentence, with what to write instead."""

import re
import shlex
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import typer

from search.terminal import say

_EXTRA = re.compile(r"unexpected extra arguments?(?:\(s\))? \((.*)\)", re.DOTALL)
_LEAST_LIKENESS = 0.5  # of a command to one that is called the nearest


def report_misuse(error: typer.TyperException, words: Sequence[str]) -> int:
    """Say what is wrong with the words of the command line, in place of typer's own words; the exit code."""
    if type(error).__name__ != "NoArgsIsHelpError":  # it has shown its help
        say(f"frcnn-search: {_sentence(error, words)}", err=True)
    return error.exit_code


def _sentence(error: Any, words: Sequence[str]) -> str:
    context, parameter = getattr(error, "ctx", None), getattr(error, "param", None)
    if hasattr(error, "possibilities"):
        return f"there is no option {error.option_name}; {_option(error, context)}"
    if hasattr(error, "option_name"):
        takes = "needs a value after it" if "requires" in error.message else "takes no value; leave the = out"
        return f"{error.option_name} {takes}; see frcnn-search {words[0]} --help"
    if hasattr(error, "param_type") and parameter is not None:
        what = f": {parameter.help.rstrip('.')}" if parameter.help else ""
        return f"{_name(parameter)} is missing{what}{_help(context)}"
    if parameter is not None:
        return _bad_value(error, parameter, context)
    if context is not None and hasattr(context.command, "commands"):
        return _command(context, words)
    if context is not None and (extra := _EXTRA.search(error.format_message())):
        return _quoted(context, extra[1])
    return f"{error.format_message().rstrip('.')}{_help(context)}"


def _bad_value(error: Any, parameter: Any, context: Any) -> str:
    from search.study.problems import rule_and_value  # loads pydantic

    problems = error.__cause__.errors() if hasattr(error.__cause__, "errors") else []
    if not problems:
        return f"{_name(parameter)}: {error.message}"
    value = problems[0]["input"]
    if parameter.param_type_name == "argument" and isinstance(value, str):
        before = " ".join([*_arguments(context), value])
        if Path(before).exists():  # `explain my study.yaml`
            return _quoted(context, value)
    if problems[0]["type"] == "value_error":
        return f"{_name(parameter)}: {str(problems[0]['ctx']['error']).rstrip('.')}{_help(context)}"
    return f"{_name(parameter)} {rule_and_value(problems[0])}"


def _option(error: Any, context: Any) -> str:
    from search.study.setting import place_of  # loads pydantic

    if error.possibilities and error.possibilities[0] != "--help":
        return f"the nearest is {error.possibilities[0]}"
    if place := place_of(error.option_name.strip("-").replace("-", "_")):
        return f"in the study file it is {place}"
    return f"`{context.command_path} --help` lists those that there are"


def _command(context: Any, words: Sequence[str]) -> str:
    name = next((word for word in words if not word.startswith("-")), "")
    near = get_close_matches(name, list(context.command.commands), n=1, cutoff=_LEAST_LIKENESS)
    hint = f"the nearest is {near[0]}" if near else f"`{context.command_path} --help` lists those that there are"
    return f"there is no command {name}; {hint}"


def _quoted(context: Any, extra: str) -> str:
    """A path with spaces that the shell took apart, most likely."""
    if extra.casefold() in ("true", "false"):
        return f"an option that is given or not takes no value; leave {extra} out"
    whole = " ".join([*_arguments(context), extra])
    return (
        f"there is one argument too many, {extra}; if it is a part of a path with spaces, quote the whole path: "
        f"{context.command_path} {shlex.quote(whole)}"
    )


def _arguments(context: Any) -> list[str]:
    """The values of the command's arguments that were taken so far."""
    names = [each.name for each in context.command.params if each.param_type_name == "argument"]
    return [str(context.params[name]) for name in names if context.params.get(name) is not None]


def _name(parameter: Any) -> str:
    """An option as it is written, and an argument as help shows it."""
    if parameter.param_type_name == "option":
        return str(max(parameter.opts, key=len))
    return str(parameter.metavar or parameter.name.upper())


def _help(context: Any) -> str:
    return f"; see {context.command_path} --help" if context is not None else ""
