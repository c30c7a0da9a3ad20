"""Planted faults: each is named, none is invented, and what `launch` refuses is an error here."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from benchmarks.parts.data_faults import (
    FAULTS,
    DataFault,
    axes_swapped,
    class_without_boxes,
    labels_off_by_one,
    missing,
    no_picture,
)
from benchmarks.parts.spoiled_dataset import NARROW, SpoiledDataset
from detector.data.formats.annotation import DataError
from detector.data.layout import find_sources
from detector.data.pair import load_pair
from detector.data.sample_data import write_sample
from search.doctor.diagnosis import examine
from search.doctor.diagnostic import Level
from search.study.specification import specification_from

ERROR, WARNING, NOTE = Level.ERROR, Level.WARNING, Level.NOTE
BCCD = Path(__file__).resolve().parents[4] / "shared" / "data" / "bccd"


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("healthy") / "sample"
    write_sample(folder, train=24, validation=10)
    return folder


@pytest.fixture
def dataset(healthy: Path, tmp_path: Path) -> SpoiledDataset:
    return SpoiledDataset.copied(healthy, tmp_path / "dataset")


@pytest.mark.parametrize("seed", [0, 1])
def test_a_healthy_dataset_has_no_error_and_only_the_warning_that_its_objects_are_small(
    tmp_path: Path, seed: int
) -> None:
    write_sample(tmp_path / "sample", train=80, validation=24, seed=seed)
    diagnosis = SpoiledDataset.copied(tmp_path / "sample", tmp_path / "copy").examine(space={})
    warnings = {diagnostic.name for diagnostic in diagnosis.diagnostics if diagnostic.level is not NOTE}
    assert warnings <= {"anchors-misfit", "anchors-only-forced"}  # of Detectron2's anchors, from 32 px on
    assert not diagnosis.has_errors
    assert diagnosis.anchors is not None
    assert diagnosis.anchors.best.fit.whole.half > 0.95


@pytest.mark.parametrize("fault", [pytest.param(fault, id=fault.name) for fault in FAULTS])
def test_a_planted_fault_is_named_and_nothing_else(dataset: SpoiledDataset, fault: DataFault) -> None:
    before = {diagnostic.name for diagnostic in dataset.examine().diagnostics}
    fault.plant(dataset)
    found = {diagnostic.name: diagnostic for diagnostic in dataset.examine().diagnostics}
    assert set(found) - before == {fault.expected} | fault.others
    assert found[fault.expected].level is fault.level
    assert found[fault.expected].count >= 1
    assert found[fault.expected].advice


@pytest.mark.parametrize("fault", [pytest.param(fault, id=fault.name) for fault in FAULTS])
def test_whatever_launch_refuses_is_an_error_here(dataset: SpoiledDataset, fault: DataFault) -> None:
    fault.plant(dataset)
    try:
        load_pair(*find_sources(dataset.written()), share=0.2, seed=0)
    except DataError:
        assert dataset.examine().has_errors


def test_every_broken_image_is_counted_and_the_first_are_named(dataset: SpoiledDataset) -> None:
    missing(dataset)
    no_picture(dataset)
    found = {diagnostic.name: diagnostic for diagnostic in dataset.examine().diagnostics}
    assert found["image-missing"].count == 2
    assert found["image-missing"].examples == (dataset.image_file(0).name, dataset.image_file(5).name)
    assert found["image-unreadable"].examples == (dataset.image_file(2).name,)
    assert [diagnostic.level for diagnostic in dataset.examine().diagnostics][:2] == [ERROR, ERROR]  # worst first


def test_where_no_image_is_usable_that_alone_is_said(dataset: SpoiledDataset) -> None:
    shutil.rmtree(dataset.image_file(0).parent)
    dataset.image_file(0).parent.mkdir()
    found = {diagnostic.name for diagnostic in dataset.examine().diagnostics if diagnostic.level is ERROR}
    assert found == {"image-missing"}


def test_what_was_left_out_is_a_note_of_the_split_that_it_was_left_out_of(dataset: SpoiledDataset) -> None:
    dataset.train["annotations"].append({**dataset.train["annotations"][0], "id": 9_999, "bbox": []})
    dataset.train["categories"].append({"id": 99, "name": "_background_"})
    (dataset.written() / "test").mkdir()
    (dataset.written() / "test" / "1.jpg").touch()
    found = {diagnostic.name: diagnostic for diagnostic in dataset.examine().diagnostics}
    assert (found["annotations-without-box"].level, found["annotations-without-box"].count) == (NOTE, 1)
    assert found["classes-without-boxes"].examples == ("_background_",)
    assert found["test-split-left-alone"].examples == ("test",)


@pytest.mark.parametrize("spoil", ["missing", "truncated"])
def test_a_bad_image_that_launch_leaves_out_is_a_warning(dataset: SpoiledDataset, spoil: str) -> None:
    file = dataset.image_file(3)
    content = file.read_bytes()
    file.unlink()
    if spoil == "truncated":
        file.write_bytes(content[: len(content) // 2])
    name = {"missing": "image-missing", "truncated": "image-unreadable"}[spoil]
    refused = {each.name: each for each in dataset.examine().diagnostics}[name]
    assert refused.level is ERROR
    assert "set `on_bad_image: skip` in the section `data`" in refused.advice
    diagnosis = dataset.examine(data={"folder": str(dataset.root), "on_bad_image": "skip"})
    assert {each.name: each.level for each in diagnosis.diagnostics}[name] is WARNING
    assert not diagnosis.has_errors


def test_more_bad_images_than_launch_leaves_out_are_an_error_with_the_bound(dataset: SpoiledDataset) -> None:
    for index in range(4):  # of 24, and a tenth may go
        dataset.image_file(index).unlink()
    data = {"folder": str(dataset.root), "on_bad_image": "skip"}
    found = {each.name: each for each in dataset.examine(data=data).diagnostics}["image-missing"]
    assert found.level is ERROR
    assert "raise `data.most_bad_share`, which is 0.1" in found.advice
    assert not dataset.examine(data={**data, "most_bad_share": 0.2}).has_errors


def test_labels_that_are_off_by_one_are_called_so(dataset: SpoiledDataset) -> None:
    labels_off_by_one(dataset)
    assert "off by one" in dataset.examine().diagnostics[0].message


def test_axes_that_are_swapped_are_called_so(dataset: SpoiledDataset) -> None:
    assert all(entry["width"] != entry["height"] for entry in dataset.train["images"])  # else a swap can't be seen
    axes_swapped(dataset)
    assert "[y, x, height, width]" in dataset.examine().diagnostics[0].message


def test_a_canvas_on_which_objects_vanish_is_an_error_with_a_larger_one_as_advice(dataset: SpoiledDataset) -> None:
    diagnosis = dataset.examine(detector={"canvas": "32x32"})
    found = {diagnostic.name: diagnostic for diagnostic in diagnosis.diagnostics}
    assert found["anchors-hopeless"].level is ERROR
    assert "detector.canvas to " in found["anchors-hopeless"].advice
    assert found["tiny-on-canvas"].level is WARNING
    canvas = re.search(r"set detector\.canvas to (\d+x\d+)", found["tiny-on-canvas"].advice)
    assert canvas is not None
    again = {each.name: each.level for each in dataset.examine(detector={"canvas": canvas.group(1)}).diagnostics}
    assert again.get("tiny-on-canvas") in (None, NOTE)


def test_a_canvas_of_another_aspect_is_mostly_padding(dataset: SpoiledDataset) -> None:
    found = {diagnostic.name: diagnostic for diagnostic in dataset.examine(detector={"canvas": "96x512"}).diagnostics}
    canvas = re.search(r"set detector\.canvas to (\d+x\d+)", found["padded-canvas"].advice)
    assert canvas is not None
    names = {diagnostic.name for diagnostic in dataset.examine(detector={"canvas": canvas.group(1)}).diagnostics}
    assert "padded-canvas" not in names


def test_anchors_of_the_study_that_fit_nothing_are_told(dataset: SpoiledDataset) -> None:
    fixed = {"anchors": {"sizes_px": [200, 300], "ratios": [1]}}
    hopeless = {diagnostic.name: diagnostic for diagnostic in dataset.examine(space=fixed).diagnostics}
    assert hopeless["anchors-hopeless"].level is ERROR
    wide = {
        diagnostic.name
        for diagnostic in dataset.examine(space={**NARROW, "anchor_base": {"low": 2, "high": 60}}).diagnostics
    }
    assert "anchors-hopeless" not in wide


SCRATCH: dict[str, Any] = {"detector": {"weights": "none"}}
EARLY = {"rungs-too-early": WARNING}


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        pytest.param({"space": {"lr_per_16": 0.02}}, {}, id="the reference"),
        pytest.param({"space": {"lr_per_16": {"low": 1e-4, "high": 0.32}}}, {}, id="up to 16 times"),
        pytest.param({"space": {"lr_per_16": {"high": 0.4}}}, {"learning-rate-high": WARNING}, id="beyond 16 times"),
        pytest.param({"space": {"lr_per_16": [0.1, 0.2]}}, {"learning-rate-high": WARNING}, id="all above 4 times"),
        pytest.param({"space": {"lr_per_16": 0.5}}, {"learning-rate-hopeless": ERROR}, id="all above 16 times"),
        pytest.param({"space": {"lr_per_16": 0.5, "optimizer": "adam"}}, {}, id="not SGD"),
        pytest.param({"space": {"lr_per_16": [1e-5, 2e-4]}}, {"learning-rate-low": WARNING}, id="a hundredth"),
        pytest.param({"space": {"lr_per_16": [1e-5, 3e-4]}}, {}, id="more than a hundredth"),
        pytest.param(
            {"space": {"adam_lr_per_16": 1e-7, "optimizer": "adam"}}, {"learning-rate-low": WARNING}, id="Adam's, too"
        ),
        pytest.param(
            {"space": {"batch_size": [4, 32]}, "budget": {"rungs": 1}},
            {"batch-above-data": WARNING},
            id="32 of 24 images",
        ),
        pytest.param({"budget": {"images": 16}}, {"budget-below-an-epoch": WARNING}, id="16 of 24 images"),
        pytest.param(SCRATCH | {"budget": {"images": 960, "rungs": [79, 960]}}, EARLY, id="19 updates"),
        pytest.param(SCRATCH | {"budget": {"images": 960, "rungs": [80, 960]}}, {}, id="20 updates"),
        pytest.param({"budget": {"images": 960, "rungs": [79, 960]}}, {}, id="19 updates of weights"),
        pytest.param({"budget": {"trials": 10}, "sampler": {"startup_trials": 10}}, {"nothing-but-random": WARNING}),
        pytest.param({"budget": {"trials": 11}, "sampler": {"startup_trials": 10}}, {}, id="the last one learns"),
        pytest.param({"budget": {"trials": 10}}, {}, id="five at random"),
    ],
)
def test_numbers_that_search_in_vain_are_named(
    dataset: SpoiledDataset, sections: dict[str, Any], expected: dict[str, Level]
) -> None:
    before = {diagnostic.name for diagnostic in dataset.examine().diagnostics} | {"few-images-for-scratch"}
    sections = {**sections, "space": {**NARROW, **sections.get("space", {})}}
    found = {f.name: f.level for f in dataset.examine(**sections).diagnostics if f.name not in before}
    assert found == expected


def test_sets_that_are_small_for_what_is_asked_of_them_are_named(dataset: SpoiledDataset) -> None:
    def names(**sections: Any) -> set[str]:
        found = {each.name for each in dataset.examine(**sections).diagnostics}
        return found & {"few-images-for-scratch", "few-validation-images"}

    assert names(detector={"weights": "none"}) == {"few-images-for-scratch", "few-validation-images"}
    assert names() == {"few-validation-images"}


@pytest.mark.parametrize(
    ("backbone", "advice"),
    [
        ("resnet50", "set detector.weights to coco or imagenet or to a file of weights"),
        ("resnet18", "set detector.weights to a file of weights"),  # Keras has none of it
    ],
)
def test_who_trains_from_nothing_is_told_of_the_weights_that_there_are(
    dataset: SpoiledDataset, backbone: str, advice: str
) -> None:
    found = dataset.examine(detector={"weights": "none", "backbone": backbone}).diagnostics
    (said,) = [each.advice for each in found if each.name == "few-images-for-scratch"]
    assert said == f"{advice}, or annotate more images"


def test_a_folder_without_a_dataset_is_one_error(tmp_path: Path) -> None:
    document = {"name": "n", "storage": "sqlite:///unused.db", "data": {"folder": str(tmp_path)}}
    diagnosis = examine(specification_from(document, "a test"))
    assert [diagnostic.name for diagnostic in diagnosis.diagnostics] == ["no-dataset"]
    assert diagnosis.has_errors


def test_the_diagnosis_is_plain_json_without_nan(dataset: SpoiledDataset) -> None:
    class_without_boxes(dataset)  # its fit has no figures
    document = json.loads(json.dumps(dataset.examine().to_json(), allow_nan=False))
    assert document["data"]["training"]["images"] == 24
    assert document["anchors"]["reference"]["fit"]["by_class"]["objects"]["mean_iou"] is None
    assert set(document["anchors"]) == {"reference", "study", "derived"}  # trial 0 has one ratio here
    assert document["space"]["anchor_base"]["low"] < document["anchors"]["derived"]["values"]["anchor_base"]


@pytest.fixture
def bccd(tmp_path: Path) -> Path:
    if not BCCD.is_dir():
        pytest.skip("the BCCD images are not part of the repository")
    return shutil.copytree(BCCD, tmp_path / "bccd")


def test_the_two_degenerate_boxes_of_bccd_are_found_by_file(bccd: Path) -> None:
    document = {"name": "n", "storage": "sqlite:///unused.db", "data": {"folder": str(bccd)}, "space": NARROW}
    diagnosis = examine(specification_from(document, "a test"))
    found = [diagnostic for diagnostic in diagnosis.diagnostics if diagnostic.name == "degenerate-boxes"]
    files = {text.split(":")[0] for diagnostic in found for text in diagnostic.examples}
    assert files == {"BloodImage_00338.jpg", "BloodImage_00343.jpg"}
    assert not diagnosis.has_errors
