"""How an AP is written: with its standard error, where that is known."""

import math


def ap_text(ap: float | None, error: float | None) -> str:
    """`0.300 ± 0.021`, the AP alone where its error is unknown, or a dash."""
    if ap is None:
        return "–"
    return f"{ap:.3f}" + ("" if error is None or math.isnan(error) else f" ± {error:.3f}")
