"""Size and CPU latency of exported models, on one picture that needs scaling."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks.parts.drawn_detector import write_drawn_detector
from benchmarks.parts.machine import Machine
from benchmarks.parts.table import Cell, Section, Table, publish, wide_console
from detector.config import Canvas, Detector
from search.export.weight_formats import export_weights
from search.study.canvas import parse_canvas

SCRIPT = "benchmarks.exported_models"
DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "exported_models.md"
CANVASES = ("256x256", "512x512")
PICTURE = (480, 640)  # height and width
COLUMNS = ("canvas", "model", "MB", "s to export", "s to load", "s a picture", "fastest", "slowest", "objects")
Run = Callable[[np.ndarray], int]  # a picture, and how many objects are found


def saved_model(folder: Path) -> Run:
    import tensorflow as tf

    model = tf.saved_model.load(str(folder))
    return lambda picture: len(model.detect(picture)["scores"].numpy())


def onnx(file: Path) -> Run:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    return lambda picture: len(session.run(["scores"], {"image": picture})[0])


MODELS: dict[str, Callable[[Path], Run]] = {"savedmodel": saved_model, "onnx": onnx}


def megabytes(path: Path) -> float:
    """What a file, or all of a folder, takes."""
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return sum(file.stat().st_size for file in files) / 1e6


def timed(run: Callable[[], Any]) -> tuple[float, Any]:
    began_s = time.perf_counter()
    result = run()
    return time.perf_counter() - began_s, result


def rows(canvas: Canvas, repeats: int, folder: Path) -> list[tuple[Cell, ...]]:
    """A line of the table for each model on that canvas, as COLUMNS."""
    weights = folder / f"{canvas}.safetensors"
    write_drawn_detector(weights, Detector(canvas=canvas), seed=0)
    picture = np.random.default_rng(0).integers(0, 256, (*PICTURE, 3), dtype=np.uint8)
    found: list[tuple[Cell, ...]] = []
    for name, load in MODELS.items():
        output = folder / f"{canvas}.{name}"
        export_s, _ = timed(lambda: export_weights(weights, output, format=name))  # noqa: B023 called at once
        load_s, run = timed(lambda: load(output))  # noqa: B023
        run(picture)
        took_s, counts = zip(*(timed(lambda: run(picture)) for _ in range(repeats)), strict=True)  # noqa: B023
        cells = (megabytes(output), export_s, load_s, median(took_s), min(took_s), max(took_s), counts[0])
        found.append((str(canvas), name, *cells))
    return found


def main(
    canvas: Annotated[list[str] | None, typer.Option(help="HEIGHTxWIDTH; give it again for more")] = None,
    repeats: Annotated[int, typer.Option(min=1, help="pictures timed after the first")] = 20,
    output: Annotated[Path, typer.Option(help="Markdown file that gets the section", show_default=False)] = DOCUMENT,
) -> None:
    """Measure what exported models of drawn weights weigh, and how long they take on this machine's CPU."""
    table: list[tuple[Cell, ...]] = []
    with tempfile.TemporaryDirectory() as folder:
        for one in canvas or CANVASES:
            table += rows(parse_canvas(one), repeats, Path(folder))
    caption = f"One picture of {PICTURE[0]} × {PICTURE[1]} px from pixels to objects, ResNet-50, 3 classes, float32"
    section = Section(
        script=SCRIPT,
        title="Size and latency",
        tables=(Table(caption=caption, columns=COLUMNS, rows=tuple(table)),),
        notes=(f"s a picture is the median of {repeats} after a first one; weights are drawn by seed.",),
    )
    libraries = ("tensorflow", "keras", "tf2onnx", "onnxruntime")
    machine = Machine.here(backend="tensorflow", device="CPU", script=SCRIPT, libraries=libraries)
    publish(section, machine, output, wide_console())


if __name__ == "__main__":
    typer.run(main)
