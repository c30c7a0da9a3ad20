"""Puts parameters into the `space` section of a study file, and leaves everything else in it as it stands."""

import re
from dataclasses import replace
from pathlib import Path

from detector.config import ConfigError
from search.document import parse_document
from search.specification import specification_from
from search.study_file import load_study_file
from search.study_text import parameter_line
from spaces.parameters import Parameter
from spaces.section import write_parameter

_SPACE = re.compile(r"^space:[ \t]*(#.*)?$")
_KEY = re.compile(r"^  ([A-Za-z_]+):")


def write_space(file: Path, parameters: dict[str, Parameter]) -> None:
    """Set the parameters in the file's space section, each on its line; comments and other lines stay.

    The result is read back before it replaces the file, so that a file in another style is refused, never spoiled.

    Raises:
        ConfigError: the file is none, or its space section isn't one parameter a line; nothing was written then.
    """
    before = load_study_file(file)
    text = file.read_text(encoding="utf-8-sig")
    changed = "\n".join(_with_parameters(text.splitlines(), parameters)) + "\n"
    try:
        document = parse_document(changed, str(file))
        document.setdefault("name", before.name)
        document.setdefault("storage", before.storage)
        after = specification_from(document, str(file)).absolute(file.resolve().parent)
        same = after == replace(before, space=before.space.replaced(parameters))
    except ConfigError:
        same = False
    if not same:
        raise ConfigError(
            f"{file}: the space section must have one parameter a line, indented by two spaces, to be changed by a "
            "program; put the proposed lines in by hand"
        )
    fresh = file.with_name(f".{file.name}.new")
    try:
        fresh.write_text(changed, encoding="utf-8")
        fresh.replace(file)
    except OSError as error:
        raise ConfigError(f"{file}: cannot be written ({error.strerror})") from None


def _with_parameters(lines: list[str], parameters: dict[str, Parameter]) -> list[str]:
    start = next((index for index, line in enumerate(lines) if _SPACE.match(line)), None)
    if start is None:
        lines, start = [*lines, "", "space:"], len(lines) + 1
    behind = start + 1
    while behind < len(lines) and (not lines[behind].strip() or lines[behind].startswith((" ", "#"))):
        behind += 1
    section, written = [], set()
    for line in lines[start + 1 : behind]:
        key = match.group(1) if (match := _KEY.match(line)) else ""
        if key in parameters:
            line = parameter_line(key, write_parameter(parameters[key]))
            written.add(key)
        section.append(line)
    missing = [parameter_line(name, write_parameter(p)) for name, p in parameters.items() if name not in written]
    return [*lines[: start + 1], *missing, *section, *lines[behind:]]
