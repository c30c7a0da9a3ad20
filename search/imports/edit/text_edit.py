"""One value of a file of theirs set to another, in its text: everything else stays as it is, comments too."""

from collections.abc import Mapping

from search.imports.edit.literals import Syntax, entry, nested
from search.imports.wish import Span

_OPENING = {Syntax.PYTHON: ("dict(", "{"), Syntax.YAML: ("{",), Syntax.JSON: ("{",), Syntax.PROTOTEXT: ("{",)}


def with_value(text: str, spans: Mapping[str, Span], key: str, value: str, syntax: Syntax) -> str:
    """The text with the value in place of the one at the key, or below the nearest group that there is."""
    span = span_at(spans, key)
    return _replaced(text, span, value) if span else _added(text, spans, key, value, syntax)


def span_at(spans: Mapping[str, Span], key: str) -> Span | None:
    """Where the value at the key stands; of a list of one, its member has no number in some files."""
    return spans.get(key) or spans.get(key.replace("[0]", ""))


def _replaced(text: str, span: Span, value: str) -> str:
    old = text[span.start : span.stop]
    if "\n" not in old:
        return text[: span.start] + value + text[span.stop :]
    kept = len(old) - len(_trimmed(old))  # blank lines and comments behind a list of several lines are none of it
    return f"{text[: span.start].rstrip()} {value}{text[span.stop - kept :]}"


def _trimmed(old: str) -> str:
    lines = old.split("\n")
    while len(lines) > 1 and (not lines[-1].strip() or lines[-1].lstrip().startswith("#")):
        lines.pop()
    return "\n".join(lines).rstrip()


def _added(text: str, spans: Mapping[str, Span], key: str, value: str, syntax: Syntax) -> str:
    names = key.split(".")
    for count in range(len(names) - 1, 0, -1):
        span = span_at(spans, ".".join(names[:count]))
        if span is not None:
            line = entry(names[count], nested(names[count + 1 :], value, syntax), syntax)
            return _inside(text, span, line, syntax)
    end = "" if not text or text.endswith("\n") else "\n"
    whole = nested(names[1:], value, syntax)
    line = f"{names[0]} = {whole}" if syntax is Syntax.PYTHON else entry(names[0], whole, syntax)
    return f"{text}{end}{line}\n"


def _inside(text: str, span: Span, line: str, syntax: Syntax) -> str:
    """The text with a line more in a group: behind what opens it, or before its first line."""
    old = text[span.start : span.stop]
    for opening in _OPENING[syntax]:
        if old.startswith(opening):
            at = span.start + len(opening)
            if opening == "{" and syntax is Syntax.PYTHON:
                name, _, value = line.partition("=")
                line = f"{name!r}: {value}"
            between = " " if syntax is Syntax.PROTOTEXT or old[len(opening) :].lstrip()[:1] in "})" else ", "
            between = between.rstrip() if text[at : at + 1] == "\n" else between
            return f"{text[:at]}{' ' if syntax is Syntax.PROTOTEXT else ''}{line}{between}{text[at:]}"
    column = span.start - (text.rfind("\n", 0, span.start) + 1)
    return f"{text[: span.start]}{line}\n{' ' * column}{text[span.start :]}"
