"""What somebody meant who wrote a whole number otherwise."""

import math
import re

_BETWEEN_THOUSANDS = re.compile(r"(?<=[0-9])[,_' ](?=[0-9]{3}(?![0-9]))")
_SCALES = {"k": 1_000, "m": 1_000_000}
_MOST = 2.0**53  # beyond, floats leave whole numbers out


def way_out(value: object) -> str:
    """What to write in place of the value: `write 1000` for 1e3, 1,000, 1k or a text that holds 1000."""
    number = _number(value)
    if number is None or not abs(number) <= _MOST:
        return "write digits alone, such as 12"
    if number.is_integer():
        return f"write {number:.0f}" + (" without quotes" if str(value).strip() == f"{number:.0f}" else "")
    return f"write {math.floor(number)} or {math.ceil(number)}"


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | float):
        return None
    text = _BETWEEN_THOUSANDS.sub("", value.strip()) if isinstance(value, str) else str(value)
    scale = _SCALES.get(text[-1:].casefold(), 1)
    try:
        return float(text if scale == 1 else text[:-1]) * scale
    except ValueError:
        return None
