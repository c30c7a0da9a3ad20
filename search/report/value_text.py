"""Values as a person reads them."""

from spaces.parameters import Value


def value_text(value: Value | None) -> str:
    """Three digits of a number, a word as it is, a dash for none."""
    if value is None:
        return "–"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
