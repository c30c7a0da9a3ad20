"""COCO's figures as a table for a terminal."""

from collections.abc import Mapping

from rich.box import SIMPLE_HEAD
from rich.table import Table

from detector.object_size import RANGES
from search.report.ap_text import ap_text

_HEADINGS = {
    "ap": "AP (IoU .50:.95)",
    "ap50": "AP50",
    "ap75": "AP75",
    **{f"ap_{size}": f"AP {size} ({bounds} of the original image)" for size, bounds in RANGES.items()},
    "ar100": "AR, 100 detections",
}
_CLASS_PREFIX = "ap/"


def metrics_table(metrics: Mapping[str, float]) -> Table:
    """COCO's figures: overall, by size, by class."""
    table = Table("COCO metric", box=SIMPLE_HEAD)
    table.add_column("value", justify="right")
    for name, heading in _HEADINGS.items():
        if name in metrics:
            table.add_row(heading, ap_text(metrics[name], metrics.get(f"{name}_error")))
    table.add_section()
    for name, value in metrics.items():
        if name.startswith(_CLASS_PREFIX):
            table.add_row(f"AP of {name.removeprefix(_CLASS_PREFIX)}", f"{value:.3f}")
    return table
