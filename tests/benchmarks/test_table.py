"""The table writer: each script's section stands alone in the document, and numbers are written to be read."""

import io
import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from benchmarks.parts.machine import Machine, commit_of
from benchmarks.parts.table import Section, Table, markdown_table, publish, replaced, slug, written

TABLE = Table(caption="Speed", columns=("canvas", "s/step"), rows=(("128x128", 0.5314), ("256x256", 1.18)))
SECTION = Section(script="benchmarks.step_speed", title="Train step", tables=(TABLE,), notes=("Medians of 5.",))
MACHINE = Machine(
    cpu="Example CPU",
    cores=2,
    memory_gib=15.6,
    backend="tensorflow",
    device="CPU",
    versions={"python": "3.11.9", "keras": "3.13.2"},
    commit="0123456789ab",
    date="2026-01-31",
    command="python -m benchmarks.step_speed --batch 2",
)
NAMES = st.text(alphabet="abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1).filter(lambda name: "--" not in name)
BODIES = st.text(alphabet=st.characters(exclude_categories=["C"], exclude_characters="<>")).map(str.strip)


def console() -> tuple[Console, io.StringIO]:
    stream = io.StringIO()
    return Console(file=stream, width=120), stream


def test_numbers_stand_right_and_words_left() -> None:
    assert markdown_table(TABLE).splitlines() == [
        "| canvas | s/step |",
        "| --- | ---: |",
        "| 128x128 | 0.531 |",
        "| 256x256 | 1.18 |",
    ]


def test_a_bar_or_a_line_break_in_a_cell_cannot_break_the_table() -> None:
    table = Table(caption="", columns=("a|b",), rows=(("c|d\ne",),))
    assert markdown_table(table).splitlines() == ["| a\\|b |", "| --- |", "| c\\|d e |"]


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="must have 2 values"):
        Table(caption="", columns=("a", "b"), rows=(("only one",),))


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0123, "0.012"), (0.5, "0.500"), (1.18, "1.18"), (12.34, "12.3"), (1234.5, "1234"), (7, "7"), ("–", "–")],
)
def test_numbers_keep_three_digits(value: str | float, text: str) -> None:
    assert written(value) == text


@pytest.mark.parametrize(
    ("text", "name"),
    [("benchmarks.step_speed tensorflow CPU", "benchmarks-step-speed-tensorflow-cpu"), ("--A__B", "a-b")],
)
def test_names_of_sections_are_plain(text: str, name: str) -> None:
    assert slug(text) == name


@given(names=st.lists(NAMES, min_size=2, max_size=4, unique=True), bodies=st.lists(BODIES, min_size=4, max_size=4))
def test_a_section_is_replaced_and_every_other_stays_as_it_was(names: list[str], bodies: list[str]) -> None:
    document = "# Title\n"
    for name, body in zip(names, bodies, strict=False):
        document = replaced(document, name, body)
    changed = replaced(document, names[0], "new figures")
    assert changed.startswith("# Title\n")
    assert "new figures" in changed
    assert replaced(changed, names[0], bodies[0]) == document


def test_a_section_between_others_is_replaced_where_it_stands() -> None:
    document = "before\n<!-- begin a -->\nold\n<!-- end a -->\nafter\n"
    assert replaced(document, "a", "new") == "before\n<!-- begin a -->\nnew\n<!-- end a -->\nafter\n"


@pytest.mark.parametrize(
    "document",
    ["<!-- begin a -->", "<!-- end a --> <!-- begin a -->", "<!-- begin a --><!-- end a --><!-- end a -->"],
    ids=["no end", "end before begin", "two ends"],
)
def test_broken_markers_are_an_error_and_not_a_guess(document: str) -> None:
    with pytest.raises(ValueError, match="must hold one"):
        replaced(document, "a", "new")


def test_publishing_shows_the_table_and_writes_machine_versions_date_and_command(tmp_path: Path) -> None:
    shown, stream = console()
    document = tmp_path / "docs" / "benchmarks.md"
    publish(SECTION, MACHINE, document, shown)
    for text in (document.read_text(encoding="utf-8"), stream.getvalue()):
        for fact in (
            "0.531",
            "Example CPU, 2 cores, 16 GiB",
            "keras 3.13.2",
            "2026-01-31",
            "--batch 2",
            "Medians of 5",
        ):
            assert fact in text
    assert "KERAS_BACKEND=tensorflow python -m benchmarks.step_speed" in document.read_text(encoding="utf-8")


def test_each_backend_and_device_has_its_own_section_and_a_second_run_replaces_its_own(tmp_path: Path) -> None:
    shown, _ = console()
    document = tmp_path / "benchmarks.md"
    publish(SECTION, MACHINE, document, shown)
    first = document.read_text(encoding="utf-8")
    publish(SECTION, replace(MACHINE, backend="jax"), document, shown)
    publish(SECTION, MACHINE, document, shown)
    text = document.read_text(encoding="utf-8")
    assert text.startswith(first.rstrip())
    assert text.count("<!-- begin ") == 2
    assert "## Train step: jax on CPU" in text


def test_every_run_stays_as_a_line_of_json_with_the_commit_the_machine_and_every_digit(tmp_path: Path) -> None:
    shown, _ = console()
    publish(SECTION, MACHINE, tmp_path / "benchmarks.md", shown)
    publish(SECTION, replace(MACHINE, commit="ba9876543210"), tmp_path / "benchmarks.md", shown)
    first, second = map(json.loads, (tmp_path / "benchmarks.jsonl").read_text(encoding="utf-8").splitlines())
    assert first["measured"] == {
        "script": "benchmarks.step_speed",
        "title": "Train step",
        "tables": [
            {"caption": "Speed", "columns": ["canvas", "s/step"], "rows": [["128x128", 0.5314], ["256x256", 1.18]]}
        ],
        "notes": ["Medians of 5."],
    }
    assert first["where"]["versions"] == {"python": "3.11.9", "keras": "3.13.2"}
    assert (first["where"]["cpu"], first["where"]["backend"]) == ("Example CPU", "tensorflow")
    assert (first["where"]["commit"], second["where"]["commit"]) == ("0123456789ab", "ba9876543210")


def test_the_commit_of_changed_code_says_so(tmp_path: Path) -> None:
    assert commit_of(tmp_path) is None

    def git(*arguments: str) -> str:
        named = ["-c", "user.name=a", "-c", "user.email=a@example.org", *arguments]
        return subprocess.run(["git", *named], cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    git("init")
    (tmp_path / "step.py").write_text("")
    git("add", ".")
    git("commit", "-m", "one")
    commit = git("rev-parse", "HEAD")[:12]
    (tmp_path / "benchmarks.md").write_text("a table of the run before\n")
    assert commit_of(tmp_path) == commit
    (tmp_path / "step.py").write_text("pass\n")
    assert commit_of(tmp_path) == f"{commit}-changed"


def test_this_machine_is_described_without_loading_a_backend() -> None:
    machine = Machine.here(backend="tensorflow", device="CPU", script="benchmarks.step_speed")
    assert machine.cores >= 1
    assert machine.memory_gib > 0.1
    assert {"python", "keras", "tensorflow", "numpy"} == set(machine.versions)
