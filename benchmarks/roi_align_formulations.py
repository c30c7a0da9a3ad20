"""Two formulations of RoIAlign, forward and backward: by gather, and by two matrix products a level.

Both give the same features and gradients, which is checked on what is timed; `roi_align.align` chooses.
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
from detector.backend import BACKEND, device_name, value_and_gradients
from detector.boxes import Tensor
from detector.network.roi_align import ROI_STRIDES_PX, gather_align, is_separable_faster, separable_align

SCRIPT = "benchmarks.roi_align_formulations"
CHANNELS = 256
CELLS = ((128, 4, 64), (128, 4, 512), (256, 4, 64), (256, 2, 512), (512, 1, 128), (512, 1, 512))  # side, images, RoIs
SMALLEST_SIDE_PX = 8.0


def pyramid(side_px: int, images: int, rois: int) -> dict[str, Any]:
    """Features of P2 to P5 and boxes of every size on the canvas."""
    random = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for level, stride_px in enumerate(ROI_STRIDES_PX):
        cells = side_px // stride_px
        arrays[f"{level}"] = random.normal(size=(images, cells, cells, CHANNELS)).astype(np.float32)
    sides = np.exp(random.uniform(np.log(SMALLEST_SIDE_PX), np.log(side_px), (images, rois, 2)))
    starts = random.uniform(0, 1, (images, rois, 2)) * (side_px - sides)
    return arrays | {"boxes": np.concatenate([starts, starts + sides], axis=-1).astype(np.float32)}


def trained(align: Callable[..., Tensor]) -> Formulation:
    """Forward and backward in one: the gradients of the mean square of the features, laid out in one row."""

    def gradients(arrays: dict[str, Any]) -> Tensor:
        def loss(levels: Any) -> tuple[Tensor, None]:
            return ops.sum(ops.square(align(levels, arrays["boxes"]))), None

        levels = [arrays[f"{level}"] for level in range(len(ROI_STRIDES_PX))]
        return ops.concatenate([ops.reshape(one, (-1,)) for one in value_and_gradients(loss, levels)[2]])

    return gradients


def main(
    pairs: Annotated[int, typer.Option(min=3, help="calls of each that are timed")] = 9,
    output: Annotated[Path, typer.Option(help="Markdown file that gets the section", show_default=False)] = DOCUMENT,
) -> None:
    """Time both by canvas and RoIs; KERAS_BACKEND chooses the backend."""
    rows = []
    for side_px, images, rois in CELLS:
        both = duel(trained(separable_align), trained(gather_align), pyramid(side_px, images, rois), pairs=pairs)
        if not np.allclose(both.first, both.second, rtol=1e-3, atol=1e-3):
            raise RuntimeError(f"the formulations disagree on a canvas of {side_px} px with {rois} RoIs")
        separable_ms, gather_ms = 1e3 * median(both.first_s), 1e3 * median(both.second_s)
        chosen = "separable" if is_separable_faster((side_px // ROI_STRIDES_PX[0]) ** 2) else "gather"
        rows.append((f"{side_px}x{side_px}", images, rois, separable_ms, gather_ms, both.ratio, chosen))
    table = Table(
        caption="RoIAlign of four levels, forward and backward",
        columns=("canvas", "images", "RoIs of each", "separable, ms", "gather, ms", "ratio", "chosen"),
        rows=tuple(rows),
    )
    machine = Machine.here(backend=BACKEND, device=device_name(), script=SCRIPT)
    note = f"{CHANNELS} channels, float32; ratio: gather's seconds over separable's, median of {pairs} pairs."
    section = Section(script=SCRIPT, title="Two formulations of RoIAlign", tables=(table,), notes=(note,))
    publish(section, machine, output, wide_console())


if __name__ == "__main__":
    typer.run(main)
