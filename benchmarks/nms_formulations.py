"""Two formulations of non-maximum suppression: our fixed point, and the greedy loop over boxes.

Both give exactly the greedy answer, which is checked on what is timed. `detector.nms` is the first.
"""

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import numpy as np
import typer
from keras import ops

from benchmarks.machine import Machine
from benchmarks.table import DOCUMENT, Section, Table, publish, wide_console
from detector.backend import BACKEND, Compiled, device_name, to_device, to_host
from detector.boxes import Tensor, pairwise_iou
from detector.nms import non_maximum_suppression

SCRIPT = "benchmarks.nms_formulations"
IOU = 0.7
SIDE_PX = 256.0  # of the canvas that the boxes lie on
CELLS = ((2, 256), (8, 256), (2, 1000), (8, 1000), (1, 2000))  # images, boxes of each


def greedy_loop(boxes: Tensor, alive: Tensor, iou_threshold: Tensor) -> Tensor:
    """Which of `boxes` [B, K, 4], by falling score, the textbook keeps, bool [B, K]: one pass a box."""
    count = boxes.shape[-2]
    before = ops.arange(count)[:, None] < ops.arange(count)[None, :]
    overlaps = ops.logical_and(pairwise_iou(boxes, boxes) > iou_threshold, before)  # [B, K, K]

    def one(index: Tensor, keep: Tensor) -> Tensor:
        suppressed = ops.logical_and(ops.take(overlaps, index, axis=1), ops.take(keep, index, axis=1)[:, None])
        return ops.logical_and(keep, ops.logical_not(suppressed))

    return ops.fori_loop(0, count, one, ops.cast(alive, "bool"))


def crowd(images: int, count: int) -> dict[str, Any]:
    """Proposals as an untrained detector has them: many around few centres."""
    random = np.random.default_rng(0)
    centres = random.uniform(0, SIDE_PX, (images, 12, 2))[:, random.integers(0, 12, count)]
    centres += random.normal(0, 6, centres.shape)
    sides = random.uniform(16, 64, (images, count, 2))
    boxes = np.concatenate([centres - sides / 2, centres + sides / 2], axis=-1).astype(np.float32)
    return {"boxes": boxes, "alive": np.ones((images, count), bool), "iou": np.float32(IOU)}


def timed(formulation: Callable[..., Tensor], arrays: dict[str, Any], repeats: int) -> tuple[float, np.ndarray]:
    """Median seconds of a compiled call, and what it keeps."""
    compiled = Compiled(lambda inputs: formulation(inputs["boxes"], inputs["alive"], inputs["iou"]))
    placed: dict[str, Any] = {name: to_device(value) for name, value in arrays.items()}
    kept = to_host(compiled(placed))
    took_s = []
    for _ in range(repeats):
        began_s = time.perf_counter()
        kept = to_host(compiled(placed))
        took_s.append(time.perf_counter() - began_s)
    return median(took_s), kept


def main(
    repeats: Annotated[int, typer.Option(min=3, help="calls timed")] = 9,
    output: Annotated[Path, typer.Option(help="Markdown file that gets the section", show_default=False)] = DOCUMENT,
) -> None:
    """Time both on crowds of boxes; KERAS_BACKEND chooses the backend."""
    rows = []
    for images, count in CELLS:
        arrays = crowd(images, count)
        fixed_point_s, ours = timed(non_maximum_suppression, arrays, repeats)
        loop_s, theirs = timed(greedy_loop, arrays, repeats)
        if not np.array_equal(ours, theirs):
            raise RuntimeError(f"the formulations disagree on {images} × {count} boxes")
        rows.append((images, count, float(ours.mean()), 1e3 * fixed_point_s, 1e3 * loop_s, loop_s / fixed_point_s))
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
