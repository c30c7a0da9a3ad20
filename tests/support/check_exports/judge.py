"""What the scripts of this folder have in common. They run in environments without this project: NumPy alone.

A case is a folder of exported files with expected.npz (all anchors [N, 4], yxyx, in canvas pixels; iterations and the
rates [I] there, relative to the peak) and facts.json beside them.
"""

import importlib.util
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np


class Case:
    """One exported configuration, with what must come out of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        expected = np.load(folder / "expected.npz")
        self.anchors, self.iterations, self.rates = expected["anchors"], expected["iterations"], expected["rates"]
        self.facts = json.loads((folder / "facts.json").read_text())
        self.levels = [tuple(each) for each in self.facts["levels"]]  # cells (high, wide)
        self.canvas = tuple(self.facts["canvas"])

    def anchor_error_px(self, found: np.ndarray) -> float:
        """The largest difference to the anchors [N, 4], yxyx."""
        found = np.asarray(found, np.float64)
        if found.shape != self.anchors.shape:
            raise ValueError(f"{found.shape} anchors, where {self.anchors.shape} are expected")
        return float(np.abs(found - self.anchors).max())

    def rate_error(self, rate_of: Callable[[int], float]) -> float:
        """The largest difference of the rates at the expected iterations, as a share of the peak."""
        pairs = zip(self.iterations.tolist(), self.rates.tolist(), strict=True)
        return max(abs(rate_of(i) / self.facts["peak"] - rate) for i, rate in pairs)


def branch_scales(norms: Iterable[Any]) -> list[float]:
    """The scales of batch norms that are below 1: of a backbone from nothing those that end a residual branch."""
    return [scale for norm in norms if (scale := float(norm.weight.max())) < 1]


def module(path: Path) -> Any:
    """The module in an exported file, which finds those beside it."""
    sys.path.insert(0, str(path.parent))
    try:
        spec = importlib.util.spec_from_file_location(path.stem, path)
        loaded = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = loaded
        spec.loader.exec_module(loaded)
    finally:
        sys.path.pop(0)
    return loaded


def walked(rate: Callable[[], float], advance: Callable[[], object], last: int) -> list[float]:
    """The rate of every iteration up to the last, of a scheduler that is walked through all of them."""
    rates = [rate()]
    for _ in range(last):
        advance()
        rates.append(rate())
    return rates


def tell(**found: Any) -> None:
    """Print what was found as the last line, which is what is read."""
    print("\n" + json.dumps(found))


def case() -> Case:
    """The case that the command line names."""
    return Case(Path(sys.argv[1]).resolve())
