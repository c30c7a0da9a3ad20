"""Puts what the doctor proposes into a study file, and leaves everything else in it as it stands."""

import re
from dataclasses import replace
from pathlib import Path

from detector.config import ConfigError
from search.study.document import parse_document
from search.study.specification import specification_from
from search.study.study_file import load_study_file
from search.study.study_text import parameter_line, setting_line
from spaces.parameters import Parameter
from spaces.section import write_parameter

_KEY = re.compile(r"^  ([A-Za-z_0-9]+):")


def write_space(file: Path, parameters: dict[str, Parameter], counts: dict[str, int]) -> None:
    """Set the parameters in the file's space section and the counts in its detector section, each on its line.

    Comments and other lines stay.

    The result is read back before it replaces the file, so that a file in another style is refused, never spoiled.

    Raises:
        ConfigError: the file is none, or these sections aren't one setting a line; nothing was written then.
    """
    before = load_study_file(file)
    text = file.read_text(encoding="utf-8-sig")
    space = {name: parameter_line(name, write_parameter(parameter)) for name, parameter in parameters.items()}
    detector = {key: setting_line("detector", key, count) for key, count in counts.items()}
    lines = _with_lines(_with_lines(text.splitlines(), "space", space), "detector", detector)
    changed = "\n".join(lines) + "\n"
    try:
        document = parse_document(changed, str(file))
        document.setdefault("name", before.name)
        document.setdefault("storage", before.storage)
        after = specification_from(document, str(file)).absolute(file.resolve().parent)
        larger = replace(before.detector, **counts)  # type: ignore[arg-type]  # the keys are those of counts
        same = after == replace(before, space=before.space.replaced(parameters), detector=larger)
    except ConfigError:
        same = False
    if not same:
        raise ConfigError(
            f"{file}: the sections space and detector must have one setting a line, indented by two spaces, to be "
            "changed by a program; put the proposed lines in by hand"
        )
    fresh = file.with_name(f".{file.name}.new")
    try:
        fresh.write_text(changed, encoding="utf-8")
        fresh.replace(file)
    except OSError as error:
        raise ConfigError(f"{file}: cannot be written ({error.strerror})") from None


def _with_lines(lines: list[str], section: str, wanted: dict[str, str]) -> list[str]:
    """The lines of a file with these, by key, in a section; a section that is missing comes at the end."""
    if not wanted:
        return lines
    start = next((index for index, line in enumerate(lines) if re.match(rf"{section}:[ \t]*(#.*)?$", line)), None)
    if start is None:
        lines, start = [*lines, "", f"{section}:"], len(lines) + 1
    behind = start + 1
    while behind < len(lines) and (not lines[behind].strip() or lines[behind].startswith((" ", "#"))):
        behind += 1
    kept, written = [], set()
    for line in lines[start + 1 : behind]:
        key = match.group(1) if (match := _KEY.match(line)) else ""
        if key in wanted:
            written.add(key)
        kept.append(wanted.get(key, line))
    missing = [line for key, line in wanted.items() if key not in written]
    return [*lines[: start + 1], *missing, *kept, *lines[behind:]]
