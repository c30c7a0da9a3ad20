from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from benchmarks.parts.patient import Patient
from detector.config import ConfigError
from detector.data.sample_data import write_sample
from search.doctor.chart import BLUE, LEFT_PX, ORANGE, Bars, Chart
from search.doctor.diagnosis import Diagnosis, refused
from search.doctor.pictures import draw_diagnosis


@pytest.fixture(scope="module")
def diagnosis(tmp_path_factory: pytest.TempPathFactory) -> Diagnosis:
    folder = tmp_path_factory.mktemp("pictures")
    write_sample(folder / "sample", train=8, validation=4)
    return Patient.copied(folder / "sample", folder / "copy").examine()


def has(picture: Path, colour: tuple[int, int, int]) -> bool:
    return bool((np.asarray(Pillow.open(picture).convert("RGB")) == colour).all(axis=2).any())


def test_every_picture_shows_what_it_is_about(diagnosis: Diagnosis, tmp_path: Path) -> None:
    files = {file.name: file for file in draw_diagnosis(diagnosis, tmp_path / "new" / "folder")}
    assert set(files) == {"shapes.png", "coverage.png", "image-worst.png", "image-median.png", "image-densest.png"}
    assert has(files["shapes.png"], ORANGE)  # Detectron2's anchors
    assert has(files["shapes.png"], BLUE)  # derived ones
    assert has(files["coverage.png"], BLUE)
    assert all(has(files[f"image-{name}.png"], (255, 255, 255)) for name in ("worst", "median", "densest"))  # boxes


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


def test_bars_are_as_high_as_their_shares_and_absent_where_there_is_nothing() -> None:
    chart = Chart("t", x_name="x", y_name="y")
    chart.bars(
        [("a",), ("b",)],
        [Bars(name="s", colour=BLUE, values=(0.5, None)), Bars(name="t", colour=ORANGE, values=(1.0, 0.0))],
    )
    pixels = np.asarray(chart.picture)[100:]  # below the legend
    heights = [int((pixels == colour).all(axis=2).sum(axis=0).max()) for colour in (BLUE, ORANGE)]
    assert heights[1] / heights[0] == pytest.approx(2, rel=0.01)
    halfway = (chart.picture.width + LEFT_PX) // 2
    assert not (pixels[:, halfway:] == BLUE).all(axis=2).any()


def test_logarithmic_axes_put_a_doubling_at_the_same_distance_everywhere() -> None:
    chart = Chart("t", x_name="x", y_name="y")
    chart.log_axes(1, 64)
    steps = [chart.at(2.0 * n, n) for n in (1, 2, 4)]
    assert steps[1][0] - steps[0][0] == pytest.approx(steps[2][0] - steps[1][0])
    assert steps[0][1] > steps[1][1]  # larger is higher up
