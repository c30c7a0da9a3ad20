"""Two formulations of non-maximum suppression: our fixed point, and the greedy loop over boxes.

Both give exactly the greedy answer, which is checked on what is timed. `detector.network.nms` is the first.
"""

from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import numpy as np
import typer
from keras import ops

from benchmarks.parts.duel import Formulation, duel
from benchmarks.parts.machine import Machine
from benchmarks.parts.table import DOCUMENT, Section, Table, publish, wide_console
from detector.backend import BACKEND, device_name
from detector.boxes import Tensor, pairwise_iou
from detector.network.nms import non_maximum_suppression

SCRIPT = "benchmarks.nms_formulations"
IOU = 0.7
SIDE_PX = 256.0  # of the canvas that the boxes lie on
CELLS = ((2, 256), (8, 256), (2, 1000), (8, 1000), (1, 2000))  # images, boxes of each


def greedy_loop(boxes: Tensor, valid: Tensor, iou_threshold: Tensor) -> Tensor:
    """Which of `boxes` [B, K, 4], by falling score, the textbook keeps, bool [B, K]: one pass a box."""
    count = boxes.shape[-2]
    before = ops.arange(count)[:, None] < ops.arange(count)[None, :]
    overlaps = ops.logical_and(pairwise_iou(boxes, boxes) > iou_threshold, before)  # [B, K, K]

    def one(index: Tensor, keep: Tensor) -> Tensor:
        suppressed = ops.logical_and(ops.take(overlaps, index, axis=1), ops.take(keep, index, axis=1)[:, None])
        return ops.logical_and(keep, ops.logical_not(suppressed))

    return ops.fori_loop(0, count, one, ops.cast(valid, "bool"))


def crowd(images: int, count: int) -> dict[str, Any]:
    """Proposals as an untrained detector has them: many around few centres."""
    random = np.random.default_rng(0)
    centres = random.uniform(0, SIDE_PX, (images, 12, 2))[:, random.integers(0, 12, count)]
    centres += random.normal(0, 6, centres.shape)
    sides = random.uniform(16, 64, (images, count, 2))
    boxes = np.concatenate([centres - sides / 2, centres + sides / 2], axis=-1).astype(np.float32)
    return {"boxes": boxes, "valid": np.ones((images, count), bool), "iou": np.float32(IOU)}


def on(suppression: Callable[..., Tensor]) -> Formulation:
    """The suppression of the crowd's boxes."""
    return lambda arrays: suppression(arrays["boxes"], arrays["valid"], arrays["iou"])


def main(
    pairs: Annotated[int, typer.Option(min=3, help="calls of each that are timed")] = 9,
    output: Annotated[Path, typer.Option(help="Markdown file that gets the section", show_default=False)] = DOCUMENT,
) -> None:
    """Time both on crowds of boxes; KERAS_BACKEND chooses the backend."""
    rows = []
    for images, count in CELLS:
        both = duel(on(non_maximum_suppression), on(greedy_loop), crowd(images, count), pairs=pairs)
        if not np.array_equal(both.first, both.second):
            raise RuntimeError(f"the formulations disagree on {images} × {count} boxes")
        fixed_point_ms, loop_ms = 1e3 * median(both.first_s), 1e3 * median(both.second_s)
        rows.append((images, count, float(both.first.mean()), fixed_point_ms, loop_ms, both.ratio))
    table = Table(
        caption=f"Greedy suppression above an IoU of {IOU}",
        columns=("images", "boxes of each", "kept", "fixed point, ms", "loop over boxes, ms", "ratio"),
        rows=tuple(rows),
    )
    machine = Machine.here(backend=BACKEND, device=device_name(), script=SCRIPT)
    title = "Two formulations of non-maximum suppression"
    publish(Section(script=SCRIPT, title=title, tables=(table,)), machine, output, wide_console())


if __name__ == "__main__":
    typer.run(main)
