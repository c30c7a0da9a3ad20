"""What reaches a terminal. Consoles, lines, logs and tracebacks of every command are made here, and nowhere else.

There is no markup. Whatever a class, a path or a message holds is shown as it stands; control characters, with which a
terminal could be steered or a line be read backwards, and halves of characters are shown as escapes: ESC as `\\x1b`.
Lines and tabs stay.
"""

import io
import logging
import re
import sys
import traceback
from collections.abc import Iterable
from types import TracebackType
from typing import Any

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import Progress
from rich.segment import Segment
from rich.text import Text

_HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    """The text with an escape in place of each character that is no text to a terminal."""
    return _HIDDEN.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 and code != 0x7F else f"\\u{code:04x}"  # JSON holds a DEL as it is


class PlainConsole(Console):
    """A console without markup, emoji codes, highlighting, or breaks in the middle of a line."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, soft_wrap=True, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """As rich has it, of the visible text: so a table's columns are wide enough for it."""
        return super().render_str(visible(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """As rich has it, with escapes in all but what rich itself sends to steer the terminal."""
        shown = _visible_text(renderable) if isinstance(renderable, Text) else renderable
        for segment in super().render(shown, options):
            yield segment if segment.control else segment._replace(text=visible(segment.text))


def progress_bar(console: Console) -> Progress:
    """A bar that goes when it is full, and is only there where somebody looks."""
    return Progress(console=console, transient=True, disable=not console.is_terminal)


def _visible_text(text: Text) -> Text:
    """The same text in the same styles, escaped before it is folded into lines."""
    for found in reversed(list(_HIDDEN.finditer(text.plain))):
        text = text[: found.start()] + _escape(found) + text[found.end() :]
    return text


class PlainFormatter(logging.Formatter):
    """Lines of a log, and the tracebacks in it, for whoever looks at them in a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """The visible text of the record."""
        return visible(super().format(record))


def say(text: str, *, err: bool = False) -> None:
    """Print a line, to standard error if asked to."""
    typer.echo(visible(text), err=err)


def log_to_stderr(line: str) -> None:
    """Begin the log of this process; `line` is the format of its lines."""
    handler = logging.StreamHandler()
    handler.setFormatter(PlainFormatter(line))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def guard_streams() -> None:
    """Let no output of this process fail for the terminal's encoding, nor a traceback bring what lines may not."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.excepthook = _show_bug


def _show_bug(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    sys.stderr.write(visible("".join(traceback.format_exception(kind, error, trace))))
