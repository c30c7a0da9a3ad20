"""The one place where measurements become tables: a section of a Markdown file for each script, backend and device.

<!-- begin step-speed-tensorflow-cpu -->   each run replaces its own section, and leaves the others as they are
<!-- end step-speed-tensorflow-cpu -->

Beside the document, in a file of JSON lines, every run stays: script, commit, machine, versions and rows.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table as Drawing

from benchmarks.parts.machine import Machine

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"
OPENING = """# Benchmarks

Written by `make bench`. Figures are medians where several were taken; compare only those of one machine.
Each run also leaves a line of JSON in the file of the same name beside this one.
"""

FILE_WIDTH = 200  # characters

Cell = str | int | float


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """What a script measured: its rows hold one value a column."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"a row must have {len(self.columns)} values, one a column, but has {row}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One script's tables; `notes` say in sentences how they were taken."""

    script: str
    title: str
    tables: tuple[Table, ...]
    notes: tuple[str, ...] = ()


def wide_console() -> Console:
    """The terminal as it is; into a file or a pipe, wide enough for every table."""
    console = Console()
    return console if console.is_terminal else Console(width=FILE_WIDTH)


def publish(section: Section, machine: Machine, document: Path, console: Console) -> None:
    """Show the section, put it in the place of the one that the document has from this backend and device, and
    append it to the JSON lines beside the document."""
    for table in section.tables:
        console.print(drawing(table))
    for line in (*machine.lines(), *section.notes):
        console.print(line, highlight=False)
    text = document.read_text(encoding="utf-8") if document.is_file() else OPENING
    document.parent.mkdir(parents=True, exist_ok=True)
    name = slug(f"{section.script} {machine.backend} {machine.device}")
    document.write_text(replaced(text, name, markdown(section, machine)), encoding="utf-8")
    with document.with_suffix(".jsonl").open("a", encoding="utf-8") as lines:
        lines.write(json_line(section, machine))


def json_line(section: Section, machine: Machine) -> str:
    """One run as a line of JSON, with every digit of its figures."""
    return json.dumps({"measured": asdict(section), "where": asdict(machine)}, ensure_ascii=False) + "\n"


def markdown(section: Section, machine: Machine) -> str:
    """The section as Markdown: title, where and how it was measured, tables, notes."""
    facts = "\n".join(f"- {line}" for line in (*machine.lines(), *section.notes))
    tables = "\n\n".join(f"**{table.caption}**\n\n{markdown_table(table)}" for table in section.tables)
    return f"## {section.title}: {machine.backend} on {machine.device}\n\n{tables}\n\n{facts}"


def markdown_table(table: Table) -> str:
    """The rows as a Markdown table; columns of numbers are aligned to the right."""
    alignment = ["---:" if right else "---" for right in _numeric(table)]
    lines = [table.columns, alignment, *(tuple(map(written, row)) for row in table.rows)]
    return "\n".join("| " + " | ".join(map(_escaped, line)) + " |" for line in lines)


def drawing(table: Table) -> Drawing:
    """The rows as rich draws them."""
    drawn = Drawing(title=table.caption, box=box.SIMPLE_HEAD)
    for column, right in zip(table.columns, _numeric(table), strict=True):
        drawn.add_column(column, justify="right" if right else "left", overflow="fold")
    for row in table.rows:
        drawn.add_row(*map(written, row))
    return drawn


def written(value: Cell) -> str:
    """Numbers with three digits that count, and never fewer than their whole part has."""
    if not isinstance(value, float):
        return str(value)
    digits = len(str(int(abs(value)))) if abs(value) >= 1 else 0
    return f"{value:.{max(0, 3 - digits)}f}"


def replaced(document: str, name: str, body: str) -> str:
    """The document with the body between the markers of that name, which are appended if it has none.

    Raises:
        ValueError: the document's markers of that name are not one pair.
    """
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    section = f"{begin}\n{body.strip()}\n{end}"
    counts = document.count(begin), document.count(end)
    if counts == (0, 0):
        return f"{document.rstrip()}\n\n{section}\n" if document.strip() else f"{section}\n"
    before, found, rest = document.partition(begin)
    _, ended, after = rest.partition(end)
    if counts != (1, 1) or not (found and ended):
        raise ValueError(f"the document must hold one {begin!r} with one {end!r} after it; repair or delete them")
    return before + section + after


def slug(text: str) -> str:
    """The text in lower-case letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _numeric(table: Table) -> Sequence[bool]:
    return [all(isinstance(row[at], int | float) for row in table.rows) for at in range(len(table.columns))]


def _escaped(text: str) -> str:
    return " ".join(text.replace("|", r"\|").split())
