"""Which planted faults are named first, as one table: data and configuration by the doctor, training by the watch.

    python -m benchmarks.planted_faults [--training] [--output docs/planted_faults.md]

The cases of training need Keras and some minutes; without `--training` their rows stay as the document has them.
"""

import importlib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Protocol

import typer

from benchmarks.parts.planted_data import BCCD, CASES, HEALTHY
from benchmarks.parts.table import Table, drawing, markdown_table, replaced, wide_console

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "planted_faults.md"
OPENING = """# Planted faults

Written by `make planted`. Each case plants one fault; it is right where the fault's own name comes first of all that is
said. Cases of training are trials of the real trainer.
"""


class Planted(Protocol):
    """One planted fault."""

    @property
    def name(self) -> str: ...

    @property
    def expected(self) -> str: ...

    def run(self) -> str:
        """The name of what was found first."""
        ...


def table_of(caption: str, cases: Iterable[Planted]) -> Table:
    """Every case with what was expected and what came first; the caption has the totals."""
    rows = []
    for case in cases:
        found = case.run()
        rows.append((case.name, case.expected, found, "yes" if found == case.expected else "no"))
    right = sum(row[-1] == "yes" for row in rows)
    return Table(
        caption=f"{caption}: {right} of {len(rows)} named first",
        columns=("planted", "expected", "first named", "right"),
        rows=tuple(rows),
    )


def health_table() -> Table:
    """What is said of datasets without a fault."""
    rows = tuple((each.name, each.run()) for each in HEALTHY)
    free = sum(said.startswith("0 errors") for _, said in rows)
    return Table(caption=f"Healthy data: {free} of {len(rows)} without an error", columns=("data", "said"), rows=rows)


def main(
    training: Annotated[
        bool, typer.Option("--training", help="Also the cases of training: minutes, with Keras.")
    ] = False,
    output: Annotated[Path, typer.Option(help="The document to write.")] = DOCUMENT,
) -> None:
    """Run every case, show the tables, and put them into the document."""
    sections: dict[str, tuple[Table, ...]] = {"data": (table_of("Data and configuration", CASES), health_table())}
    if training:
        cases: Iterable[Planted] = importlib.import_module("benchmarks.planted_training").CASES  # loads Keras
        sections["training"] = (table_of("Training", cases),)
    text = output.read_text(encoding="utf-8") if output.is_file() else OPENING
    console = wide_console()
    for name, tables in sections.items():
        for table in tables:
            console.print(drawing(table))
        body = "\n\n".join(f"**{table.caption}**\n\n{markdown_table(table)}" for table in tables)
        text = replaced(text, f"planted-{name}", f"## {name.capitalize()}\n\n{body}")
    output.write_text(text, encoding="utf-8")
    if not BCCD.is_dir():
        console.print("BCCD is not at hand: set FRCNN_BCCD to its folder to run its cases too", highlight=False)


if __name__ == "__main__":
    typer.run(main)
