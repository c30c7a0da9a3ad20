"""The scripts that are exported: whole Python files, of which only the block of settings is filled in."""

from importlib.resources import files

_START, _END = "# settings\n", "# end of settings\n"


def script(name: str, settings: str = "") -> str:
    """The template of that name with this text between its two marks; one without marks is exported as it is."""
    text = (files(__package__) / "templates" / name).read_text(encoding="utf-8")
    if not settings:
        return text
    before, _, rest = text.partition(_START)
    _, _, after = rest.partition(_END)
    return f"{before}{_START}{settings}{_END}{after}"
