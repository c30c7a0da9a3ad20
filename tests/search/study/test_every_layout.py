"""Every layout with no line of study.yaml: the doctor, a study, boxes as planted; and through each format and back."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from detector.data.conversion import WRITERS, convert
from detector.data.dataset import Dataset, load_dataset
from detector.data.layout import find_sources
from detector.data_source import DataFormat
from search.doctor.diagnosis import examine
from search.doctor.diagnostic import Level
from search.launch.launching import only_create
from search.study.conversion import run_conversion
from search.study.first_launch import dataset_specification, write_study_file
from search.study.study_file import Options, load_study_file
from search.terminal import PlainConsole
from tests.support.layouts import CLASSES, COUNTS, LAYOUTS, RECORD_LAYOUTS, planted

QUIET = PlainConsole(quiet=True)


def _read(folder: Path) -> list[Dataset]:
    train, validation = find_sources(folder)
    first = load_dataset(train)
    return [first, load_dataset(validation, classes=first.classes)] if validation else [first]


def _require_planted(folder: Path, *, within_px: float) -> None:
    """Every box and class as planted, by split."""
    for split, dataset in zip(COUNTS, _read(folder), strict=False):
        truth = {image.stem: image.boxes for image in planted(split)}
        found = {next(stem for stem in truth if stem in Path(image.name).stem): image for image in dataset.images}
        assert found.keys() == truth.keys()
        for stem, image in found.items():
            order = np.argsort([CLASSES.index(dataset.classes[label]) for label in image.labels])
            boxes = image.boxes[order][:, [1, 0, 3, 2]]
            assert [dataset.classes[label] for label in image.labels[order]] == list(CLASSES)
            np.testing.assert_allclose(boxes, truth[stem], atol=within_px)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
def test_a_layout_is_examined_and_launched_without_a_line(layout: Callable[[Path], None], tmp_path: Path) -> None:
    data = tmp_path / "data"
    layout(data)
    _require_planted(data, within_px=1e-3)
    diagnosis = examine(dataset_specification(data))
    assert not diagnosis.has_errors
    named = {each.name for each in diagnosis.diagnostics if each.level is not Level.NOTE}
    of_little_data = {"batch-above-data", "rare-classes", "classes-not-validated"}
    of_little_data |= {"few-images-for-scratch", "few-validation-images"}
    assert named <= {"anchors-misfit", "anchors-only-forced", "canvas-too-small"} | of_little_data
    assert write_study_file(tmp_path / "study.yaml", data, Options(canvas="96x128"))
    assert only_create(load_study_file(tmp_path / "study.yaml"), folder=tmp_path, console=QUIET) == 0


@pytest.mark.parametrize("to", WRITERS)
@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
def test_a_layout_goes_through_each_format_and_back(
    layout: Callable[[Path], None], to: DataFormat, tmp_path: Path
) -> None:
    layout(tmp_path / "data")
    origin = find_sources(tmp_path / "data")
    convert(*origin, to=to, output=tmp_path / "there")
    _require_planted(tmp_path / "there", within_px=1e-3)
    back = origin[0].format if origin[0].format in WRITERS else DataFormat.COCO
    convert(*find_sources(tmp_path / "there"), to=back, output=tmp_path / "back")
    _require_planted(tmp_path / "back", within_px=1e-3)


@pytest.mark.parametrize("to", WRITERS)
@pytest.mark.parametrize("layout", RECORD_LAYOUTS, ids=lambda layout: layout.__name__)
def test_records_are_converted_once_and_are_then_as_planted(
    layout: Callable[[Path], None], to: DataFormat, tmp_path: Path
) -> None:
    layout(tmp_path / "data")
    run_conversion(tmp_path / "data", str(to), tmp_path / "new", QUIET)
    _require_planted(tmp_path / "new", within_px=1e-3)
    assert write_study_file(tmp_path / "study.yaml", tmp_path / "new", Options(canvas="96x128"))
    assert only_create(load_study_file(tmp_path / "study.yaml"), folder=tmp_path, console=QUIET) == 0
