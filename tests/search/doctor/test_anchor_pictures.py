from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image as Pillow

from benchmarks.parts.spoiled_dataset import SpoiledDataset
from detector.config import Anchors, Canvas, ConfigError
from detector.data.sample_data import write_sample
from search.doctor.anchor_advice import REFERENCE, AnchorAdvice, FittedAnchors
from search.doctor.anchor_pictures import draw_coverage, draw_diagnosis, draw_shapes
from search.doctor.diagnosis import Diagnosis, refused
from search.drawing.figure import BLUE, ORANGE
from spaces.anchor_fit import CanvasBoxes, fit_anchors


@pytest.fixture(scope="module")
def diagnosis(tmp_path_factory: pytest.TempPathFactory) -> Diagnosis:
    folder = tmp_path_factory.mktemp("pictures")
    write_sample(folder / "sample", train=8, validation=4)
    return SpoiledDataset.copied(folder / "sample", folder / "copy").examine()


def has(picture: Path, colour: str) -> bool:
    wanted = [round(255 * part) for part in to_rgb(colour)]
    return bool((np.asarray(Pillow.open(picture).convert("RGB")) == wanted).all(axis=2).any())


def centred(*sizes_px: tuple[float, float]) -> AnchorAdvice:
    """Detectron2's anchors on boxes of these heights and widths around a cell centre of P2, 2 px beyond its corner."""
    halves = np.array(sizes_px) / 2
    boxes = CanvasBoxes(
        canvas=Canvas(height_px=128, width_px=128),
        boxes=np.concatenate([66.0 - halves, 66.0 + halves], axis=1),
        labels=np.zeros(len(halves), np.int64),
        areas=np.ones(len(halves)),
        images=np.zeros(len(halves), np.int64),
        image_count=1,
        classes=("a",),
    )
    fitted = FittedAnchors(anchors=Anchors(), fit=fit_anchors(boxes, Anchors()), values={})
    return AnchorAdvice(boxes=boxes, fitted={REFERENCE: fitted})


@pytest.fixture
def axes() -> Axes:
    return Figure().subplots()


def test_every_picture_shows_what_it_is_about(diagnosis: Diagnosis, tmp_path: Path) -> None:
    files = {file.name: file for file in draw_diagnosis(diagnosis, tmp_path / "new" / "folder")}
    images = {f"image-{name}.png" for name in ("worst", "densest", "median", "best")}
    assert set(files) == {"shapes.png", "coverage.png", *images}
    assert has(files["shapes.png"], ORANGE)  # Detectron2's anchors
    assert has(files["shapes.png"], BLUE)  # derived ones
    assert has(files["coverage.png"], BLUE)
    assert all(has(files[name], "white") for name in images)  # boxes


def test_the_same_diagnosis_gives_the_same_bytes(diagnosis: Diagnosis, tmp_path: Path) -> None:
    one, other = (draw_diagnosis(diagnosis, tmp_path / name) for name in ("one", "other"))
    assert [file.read_bytes() for file in one] == [file.read_bytes() for file in other]


def test_unusable_data_has_no_pictures_and_makes_no_folder(tmp_path: Path) -> None:
    assert draw_diagnosis(refused("n", ConfigError("no data")), tmp_path / "new") == []
    assert not (tmp_path / "new").exists()


def test_a_folder_that_is_a_file_is_refused(diagnosis: Diagnosis, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(ConfigError, match="name another folder"):
        draw_diagnosis(diagnosis, tmp_path / "taken")


def test_bars_are_as_high_as_their_shares_and_absent_where_there_is_no_box(axes: Axes) -> None:
    # On the cell of 32 × 32: an IoU of 1, 1, 32² / 40² = 0.64, and 8² / 32² = 0.06 for the small one.
    draw_coverage(axes, centred((32, 32), (32, 32), (40, 40), (8, 8)))
    names = [label.get_text() for label in axes.get_xticklabels()]
    assert names == ["8 to 16\n1 boxes", "32 to 64\n3 boxes"]
    half, positive = ([bar.get_height() for bar in bars] for bars in axes.containers)
    assert half == [0.0, 1.0]
    assert positive == pytest.approx([0.0, 2 / 3])


def test_wide_boxes_lie_to_the_right_and_a_doubling_is_the_same_distance_everywhere(axes: Axes) -> None:
    draw_shapes(axes, centred((10, 20), (20, 10)))
    assert np.asarray(axes.collections[0].get_offsets()).tolist() == [[20, 10], [10, 20]]
    places = axes.transData.transform([(16, 8), (32, 16), (64, 32)])
    assert places[1] - places[0] == pytest.approx(places[2] - places[1])
