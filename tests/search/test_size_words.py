"""Small, medium and large are COCO's areas in the original image (detector/object_size.py), and nothing else.

What lies on the canvas is told in pixels there. So no text of the doctor or of an explanation may use the three words
but for a thing that is no object at all.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from detector.config import Canvas
from detector.data.sample_data import write_sample
from search.doctor.anchor_advice import advise, check_anchors
from search.doctor.diagnosis import examine
from search.study.data_section import Data
from search.study.detector_section import DetectorSection
from search.study.specification import Specification
from spaces.anchor_fit import CanvasBoxes
from spaces.section import parse

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("search/doctor", "search/explanation", "search/drawing", "search/report", "spaces")
WORDS = re.compile(r"\b(small|medium|large)\b", re.IGNORECASE)
#: What may have a size in words: no object and no box among it.
OF_OTHERS = (
    "too large",  # updates, numbers
    "so small beside the weights",  # updates
    "as large as the number of classes",
    "a large gradient",
    "is large enough",  # a canvas
    "canvas-too-small",
)


def texts(file: Path) -> Iterator[str]:
    """Every text of a module that is no docstring; what an f-string puts in stands as `{}`."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    nodes = list(ast.walk(tree))
    docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    within = {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in nodes:
        if isinstance(node, ast.JoinedStr):
            yield "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings | within:
            yield node.value


def modules() -> list[Path]:
    return [file for room in ROOMS for file in sorted((ROOT / room).rglob("*.py"))]


@pytest.mark.parametrize("file", modules(), ids=lambda file: str(file.relative_to(ROOT)))
def test_no_text_calls_what_lies_on_the_canvas_small_medium_or_large(file: Path) -> None:
    for text in texts(file):
        rest = text
        for phrase in OF_OTHERS:
            rest = rest.replace(phrase, "")
        assert not WORDS.search(rest), f"{text!r}: say in pixels how large it is on the canvas"


def test_a_text_about_boxes_on_the_canvas_would_be_found(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text('"""small"""\nhere = f"{4} small ones on the canvas"\n', encoding="utf-8")
    assert [text for text in texts(tmp_path / "one.py") if WORDS.search(text)] == ["{} small ones on the canvas"]


def test_boxes_of_few_pixels_on_the_canvas_are_told_in_pixels() -> None:
    """Objects of 400 px in the original image, COCO's large ones, that are 5 px on a canvas."""
    random = np.random.default_rng(0)
    low = random.random((60, 2)) * 120
    boxes = CanvasBoxes(
        canvas=Canvas(height_px=128, width_px=128),
        boxes=np.concatenate([low, low + 5], axis=1),
        labels=np.zeros(60, np.int64),
        areas=np.full(60, 400.0**2),
        images=np.arange(60),
        image_count=60,
        classes=("a",),
    )
    space = parse({"anchor_scales": [1, 2], "anchor_ratios": 1})
    advice = advise(boxes, space, seed=0)
    told = {diagnostic.name: diagnostic for diagnostic in check_anchors(advice, space, seed=0)}
    assert "boxes below 16 px there reach no IoU of 0.5" in told["canvas-too-small"].message
    assert not any(WORDS.search(f"{d.message} {'; '.join(d.examples)}") for d in told.values())
    assert advice.fitted["reference"].fit.by_size["large"].boxes == 60


def test_the_canvas_does_not_change_which_objects_are_small(tmp_path: Path) -> None:
    write_sample(tmp_path / "data", train=6, validation=3)

    def by_size(canvas: Canvas) -> list[int]:
        data, space = Data(folder=tmp_path / "data"), parse({"anchors": {"sizes_px": [32], "ratios": [1]}})
        found = examine(
            Specification(
                name="s",
                storage="sqlite:///never-opened.db",
                data=data,
                detector=DetectorSection(canvas=canvas, weights="none"),
                space=space,
            )
        )
        assert found.anchors is not None
        return [shares.boxes for shares in found.anchors.best.fit.by_size.values()]

    own, larger = (by_size(Canvas(height_px=96 * times, width_px=128 * times)) for times in (1, 4))
    assert own == larger
    assert own[0] > 0
    assert own[1] > 0
