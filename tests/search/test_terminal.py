"""What reaches a terminal, and that nothing goes past the one place that sees to it."""

import ast
import io
import json
import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.live import Live
from rich.table import Table
from rich.text import Text

from search.terminal import PlainConsole, PlainFormatter, visible

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = "car [parked] [/] \x1b[31m\x1b]0;owned\x07 \x9b2J \r\x08 \u202egnp \udcff"
SHOWN = r"car [parked] [/] \x1b[31m\x1b]0;owned\x07 \x9b2J \x0d\x08 \u202egnp \udcff"


def printed(renderable: object, **options: object) -> str:
    console = PlainConsole(file=io.StringIO(), width=100, **options)
    console.print(renderable)
    return console.file.getvalue()


def as_table(text: str | Text) -> Table:
    table = Table(title=text, caption=text)
    table.add_column(text)
    table.add_row(text)
    return table


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("wrap", [str, as_table])
def test_brackets_stay_and_control_characters_become_escapes(wrap: object, terminal: bool) -> None:
    shown = printed(wrap(HOSTILE), force_terminal=terminal)
    assert SHOWN in shown
    assert "\x1b]" not in shown


def test_text_in_a_style_keeps_its_style_around_an_escape() -> None:
    text = Text.assemble("a\x1bb ", ("bold", "bold"), " c\x9bd")
    assert printed(text, force_terminal=True) == "a\\x1bb \x1b[1mbold\x1b[0m c\\x9bd\n"


def test_what_rich_sends_itself_still_steers_the_terminal() -> None:
    console = PlainConsole(file=io.StringIO(), force_terminal=True, width=80)
    with Live(Text("\x1b[2J"), console=console, auto_refresh=False) as live:
        live.update(Text("\x1b[3J"), refresh=True)
    shown = console.file.getvalue()
    assert "\x1b[?25l" in shown  # hides the cursor
    assert "\x1b[2J" not in shown
    assert r"\x1b[2J" in shown


@given(st.text())
def test_visible_text_is_text_to_every_terminal_and_is_not_changed_again(text: str) -> None:
    shown = visible(text)
    assert not [c for c in shown if c not in "\n\t" and (ord(c) < 32 or 127 <= ord(c) < 160)]
    assert visible(shown) == shown
    shown.encode("utf-8")


@given(st.text())
def test_json_stays_the_same_json(text: str) -> None:
    assert json.loads(visible(json.dumps(text))) == text


def test_logs_and_tracebacks_in_them_are_escaped() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(PlainFormatter("%(message)s"))
    logger = logging.Logger("a logger of its own")
    logger.addHandler(handler)
    try:
        raise ValueError("\x1b[31m")
    except ValueError:
        logger.exception("%s", "\x1b[32m")
    assert "\x1b" not in stream.getvalue()
    assert r"ValueError: \x1b[31m" in stream.getvalue()


def test_nothing_of_ours_prints_past_the_terminal_module() -> None:
    """Neither consoles of rich's own, nor echo, print, basicConfig, nor raw writes to the standard streams."""
    programs = "templates"  # of others: what an export leaves beside a study, with a terminal of its own
    files = [
        file for file in (ROOT / "search").rglob("*.py") if file.name != "terminal.py" and programs not in file.parts
    ]
    assert len(files) > 50
    assert [place for file in files for place in outputs(file)] == []


def outputs(file: Path) -> list[str]:
    """Where the file prints by itself."""
    calls = [node for node in ast.walk(ast.parse(file.read_bytes())) if isinstance(node, ast.Call)]
    names = {"Console", "print", "rich.print", "typer.echo", "typer.secho", "logging.basicConfig"}
    streams = {"sys.stdout.write", "sys.stderr.write", "console.file.write"}
    return [
        f"{file.relative_to(ROOT)}:{call.lineno}"
        for call in calls
        if (name := ast.unparse(call.func)) in names
        or (name in streams and not ast.unparse(call.args[0]).startswith("visible("))
    ]
