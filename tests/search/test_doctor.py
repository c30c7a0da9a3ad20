"""Planted faults: each is named, none is invented, and what `launch` refuses is an error here."""

import json
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Pillow

from detector.annotation import DataError
from detector.dataset import load_pair
from detector.layout import find_sources
from detector.sample_data import write_sample
from search.doctor import examine
from search.finding import Severity
from search.specification import specification_from
from tests.search.spoiling import NARROW, Patient

ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE
BCCD = Path(__file__).resolve().parents[3] / "shared" / "data" / "bccd"


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("healthy") / "sample"
    write_sample(folder, train=24, validation=10)
    return folder


@pytest.fixture
def patient(healthy: Path, tmp_path: Path) -> Patient:
    return Patient.copied(healthy, tmp_path / "patient")


def degenerate(patient: Patient) -> None:
    patient.add_box(0, [10, 10, 0, 5])


def not_finite(patient: Patient) -> None:
    patient.add_box(0, [10, float("nan"), 8, 5])


def outside(patient: Patient) -> None:
    patient.add_box(0, [500, 10, 8, 5])


def beyond_the_border(patient: Patient) -> None:
    for index in range(5):
        patient.add_box(index, [110, 70, 40, 20])


def corners_for_sizes(patient: Patient) -> None:
    for box in patient.boxes:
        x, y, width, height = box["bbox"]
        box["bbox"] = [x, y, x + width, y + height]


def normalised(patient: Patient) -> None:
    for box in patient.boxes:
        box["bbox"] = [value / 128 for value in box["bbox"]]


def labels_off_by_one(patient: Patient) -> None:
    for document in (patient.train, patient.val):
        order = {entry["id"]: index for index, entry in enumerate(document["categories"])}
        document["categories"] = [{**entry, "id": order[entry["id"]]} for entry in document["categories"]]
        for box in document["annotations"]:
            box["category_id"] = order[box["category_id"]] + 1


def class_without_boxes(patient: Patient) -> None:
    for document in (patient.train, patient.val):
        document["categories"].insert(0, {"id": 0, "name": "objects"})


def class_not_validated(patient: Patient) -> None:
    first = patient.val["categories"][0]["id"]
    patient.val["annotations"] = [box for box in patient.val["annotations"] if box["category_id"] != first]


def unknown_class_in_validation(patient: Patient) -> None:
    patient.val["categories"][0]["name"] = "doughnut"


def one_class_in_two_spellings(patient: Patient) -> None:
    for document in (patient.train, patient.val):
        document["categories"].append({"id": 99, "name": "Discs "})
        for box in document["annotations"][::4]:
            box["category_id"] = 99


def rare_class(patient: Patient) -> None:
    for document in (patient.train, patient.val):
        document["categories"].append({"id": 99, "name": "star"})
        document["annotations"][0]["category_id"] = 99


def unbalanced(patient: Patient) -> None:
    rare_class(patient)
    for index in range(24):
        for step in range(6):
            patient.add_box(index, [7 + 19 * step, 73, 16, 16], category_id=3)


def same_box_twice(patient: Patient) -> None:
    patient.add_box(0, patient.boxes_in(0)[0]["bbox"])


def same_box_with_two_labels(patient: Patient) -> None:
    first = patient.boxes_in(0)[0]
    patient.add_box(0, first["bbox"], category_id=next(n for n in (3, 7, 9) if n != first["category_id"]))


def same_picture_twice(patient: Patient) -> None:
    patient.copy_image(0, "again.png")


def file_listed_twice(patient: Patient) -> None:
    patient.train["images"].append({**patient.train["images"][0], "id": 9000})


def picture_in_both_splits(patient: Patient) -> None:
    patient.val["images"].append({**patient.train["images"][0], "id": 9000})


def copy_in_both_splits(patient: Patient) -> None:
    patient.copy_image(0, "held_out.png", into="val")


def turned(patient: Patient, *, stated: bool) -> None:
    """A camera held upright: the pixels lie, and EXIF says to turn them."""
    file = patient.image_file(0).with_suffix(".jpg")
    exif = Pillow.Exif()
    exif[0x0112] = 6
    with Pillow.open(patient.image_file(0)) as picture:
        picture.save(file, exif=exif)
    entry = patient.train["images"][0]
    entry["file_name"] = file.name
    if not stated:
        del entry["width"], entry["height"]
        for step, box in enumerate(patient.boxes_in(0)):
            box["bbox"] = [8 + 9 * step, 20, 20, 20]


def annotated_unturned(patient: Patient) -> None:
    turned(patient, stated=True)


def turned_without_a_size(patient: Patient) -> None:
    turned(patient, stated=False)


def turned_and_annotated_upright(patient: Patient) -> None:
    turned(patient, stated=False)
    patient.train["images"][0] |= {"width": 96, "height": 128}


def sixteen_bits(patient: Patient) -> None:
    patient.stored_as(0, "I;16")


def all_grey(patient: Patient) -> None:
    for file in (patient.root / "images").glob("*.png"):
        with Pillow.open(file) as picture:
            grey = picture.convert("L")
        grey.save(file)


def some_grey(patient: Patient) -> None:
    patient.stored_as(3, "L")


def transparent(patient: Patient) -> None:
    patient.stored_as(3, "RGBA")


def blank(patient: Patient) -> None:
    Pillow.new("RGB", (128, 96), (90, 90, 90)).save(patient.image_file(0))


def most_images_empty(patient: Patient) -> None:
    kept = {entry["id"] for entry in patient.train["images"][:10]}
    patient.train["annotations"] = [box for box in patient.boxes if box["image_id"] in kept]


def boxes_around_everything(patient: Patient) -> None:
    for index in range(20):
        patient.add_box(index, [0, 0, 128, 96])


def crowded(patient: Patient) -> None:
    for y in range(0, 90, 9):
        for x in range(0, 120, 12):
            patient.add_box(0, [x, y, 10, 8])


def crowded_validation(patient: Patient) -> None:
    image = patient.val["images"][0]["id"]
    for number in range(101):
        box = {
            "bbox": [number % 50 * 2, 2 + 9 * (number // 50), 12, 14],
            "category_id": 3,
            "image_id": image,
            "iscrowd": 0,
        }
        patient.val["annotations"].append({**box, "id": 5000 + number})


def missing(patient: Patient) -> None:
    patient.image_file(0).unlink()
    patient.image_file(5).unlink()


def truncated(patient: Patient) -> None:
    file = patient.image_file(2)
    file.write_bytes(file.read_bytes()[:-4000])


def no_picture(patient: Patient) -> None:
    patient.image_file(2).write_bytes(b"<html>404</html>")


def resized_after_annotation(patient: Patient) -> None:
    with Pillow.open(patient.image_file(0)) as picture:
        half = picture.resize((64, 48))
    half.save(patient.image_file(0))


def bomb(patient: Patient) -> None:
    """A header that promises 100,000 × 100,000 px."""
    file = patient.image_file(0)
    content = bytearray(file.read_bytes())
    content[16:24] = (100_000).to_bytes(4, "big") * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    file.write_bytes(content)


def out_of_the_folder(patient: Patient) -> None:
    patient.train["images"][0]["file_name"] = "../../etc/passwd"


def no_box_at_all(patient: Patient) -> None:
    patient.train["annotations"] = []


# fault, the finding's name, its severity, what else it brings about
PLANTED = [
    (degenerate, "degenerate-boxes", WARNING, set()),
    (not_finite, "degenerate-boxes", WARNING, set()),
    (outside, "boxes-outside", WARNING, set()),
    (beyond_the_border, "boxes-cut", WARNING, set()),
    (corners_for_sizes, "coordinate-order", ERROR, set()),
    (normalised, "coordinate-order", ERROR, set()),
    (labels_off_by_one, "unknown-category-id", ERROR, set()),
    (class_without_boxes, "classes-without-boxes", WARNING, set()),
    (class_not_validated, "classes-not-validated", WARNING, set()),
    (unknown_class_in_validation, "class-mismatch", ERROR, set()),
    (one_class_in_two_spellings, "classes-alike", WARNING, set()),
    (rare_class, "rare-classes", WARNING, set()),
    (unbalanced, "class-imbalance", WARNING, {"rare-classes"}),
    (same_box_twice, "duplicate-boxes", WARNING, set()),
    (same_box_with_two_labels, "disputed-labels", WARNING, set()),
    (same_picture_twice, "duplicate-images", WARNING, set()),
    (file_listed_twice, "image-listed-twice", ERROR, set()),
    (picture_in_both_splits, "train-validation-leakage", ERROR, set()),
    (copy_in_both_splits, "train-validation-copies", WARNING, set()),
    (annotated_unturned, "exif-rotation", ERROR, set()),
    (turned_without_a_size, "exif-unstated", WARNING, set()),
    (turned_and_annotated_upright, "exif-turned", NOTE, set()),
    (sixteen_bits, "deep-pixels", WARNING, set()),
    (all_grey, "grey-images", NOTE, set()),
    (some_grey, "mixed-colour", WARNING, set()),
    (transparent, "transparent-images", NOTE, set()),
    (blank, "blank-images", WARNING, set()),
    (most_images_empty, "empty-images", WARNING, {"rare-classes"}),
    (boxes_around_everything, "whole-image-boxes", WARNING, set()),
    (crowded, "too-few-roi-samples", WARNING, {"too-few-proposals"}),
    (crowded_validation, "more-boxes-than-detections", WARNING, set()),
    (missing, "image-missing", ERROR, set()),
    (truncated, "image-unreadable", ERROR, set()),
    (no_picture, "image-unreadable", ERROR, set()),
    (resized_after_annotation, "image-size", ERROR, set()),
    (bomb, "image-too-large", ERROR, set()),
    (out_of_the_folder, "image-path", ERROR, set()),
    (no_box_at_all, "no-boxes", ERROR, set()),
]


@pytest.mark.parametrize("seed", [0, 1])
def test_a_healthy_dataset_has_no_error_and_only_the_warning_that_its_objects_are_small(
    tmp_path: Path, seed: int
) -> None:
    write_sample(tmp_path / "sample", train=30, validation=10, seed=seed)
    diagnosis = Patient.copied(tmp_path / "sample", tmp_path / "copy").examine(space={})
    warnings = {finding.name for finding in diagnosis.findings if finding.severity is not NOTE}
    assert warnings <= {"anchors-misfit", "anchors-only-forced"}  # of Detectron2's anchors, from 32 px on
    assert not diagnosis.has_errors
    assert diagnosis.anchors is not None
    assert diagnosis.anchors.best.fit.whole.half > 0.95


@pytest.mark.parametrize(
    ("plant", "name", "severity", "others"), [pytest.param(*case, id=case[0].__name__) for case in PLANTED]
)
def test_a_planted_fault_is_named_and_nothing_else(
    patient: Patient, plant: Callable[[Patient], None], name: str, severity: Severity, others: set[str]
) -> None:
    before = {finding.name for finding in patient.examine().findings}
    plant(patient)
    found = {finding.name: finding for finding in patient.examine().findings}
    assert set(found) - before == {name} | others
    assert found[name].severity is severity
    assert found[name].count >= 1
    assert found[name].advice


@pytest.mark.parametrize("plant", [pytest.param(case[0], id=case[0].__name__) for case in PLANTED])
def test_whatever_launch_refuses_is_an_error_here(patient: Patient, plant: Callable[[Patient], None]) -> None:
    plant(patient)
    try:
        load_pair(*find_sources(patient.written()), share=0.2, seed=0)
    except DataError:
        assert patient.examine().has_errors


def test_every_broken_image_is_counted_and_the_first_are_named(patient: Patient) -> None:
    missing(patient)
    no_picture(patient)
    found = {finding.name: finding for finding in patient.examine().findings}
    assert found["image-missing"].count == 2
    assert found["image-missing"].examples == (patient.image_file(0).name, patient.image_file(5).name)
    assert found["image-unreadable"].examples == (patient.image_file(2).name,)
    assert [finding.severity for finding in patient.examine().findings][:2] == [ERROR, ERROR]  # worst first


def test_labels_that_are_off_by_one_are_called_so(patient: Patient) -> None:
    labels_off_by_one(patient)
    assert "off by one" in patient.examine().findings[0].message


def test_axes_that_are_swapped_are_called_so(patient: Patient) -> None:
    for box in patient.boxes:
        x, y, width, height = box["bbox"]
        box["bbox"] = [y, x, height, width]
    for entry in patient.train["images"]:  # on square images a swap can't be seen
        assert entry["width"] != entry["height"]
    for index in range(24):
        for step in range(4):
            patient.add_box(index, [10, 98 + step, 15, 20])
    assert "[y, x, height, width]" in patient.examine().findings[0].message


def test_a_canvas_on_which_objects_vanish_is_an_error_with_a_larger_one_as_advice(patient: Patient) -> None:
    diagnosis = patient.examine(detector={"canvas": "32x32"})
    found = {finding.name: finding for finding in diagnosis.findings}
    assert found["anchors-hopeless"].severity is ERROR
    assert "detector.canvas to " in found["anchors-hopeless"].advice
    assert found["tiny-on-canvas"].severity is WARNING


def test_a_canvas_of_another_aspect_is_mostly_padding(patient: Patient) -> None:
    names = [finding.name for finding in patient.examine(detector={"canvas": "96x512"}).findings]
    assert "padded-canvas" in names


def test_anchors_of_the_study_that_fit_nothing_are_told(patient: Patient) -> None:
    fixed = {"anchors": {"sizes_px": [200, 300], "ratios": [1]}}
    hopeless = {finding.name: finding for finding in patient.examine(space=fixed).findings}
    assert hopeless["anchors-hopeless"].severity is ERROR
    wide = {
        finding.name for finding in patient.examine(space={**NARROW, "anchor_base": {"low": 2, "high": 60}}).findings
    }
    assert "anchors-hopeless" not in wide


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        pytest.param({"space": {"lr_per_16": 0.02}}, {}, id="the reference"),
        pytest.param({"space": {"lr_per_16": {"low": 1e-4, "high": 0.32}}}, {}, id="up to 16 times"),
        pytest.param({"space": {"lr_per_16": {"high": 0.4}}}, {"learning-rate-high": WARNING}, id="beyond 16 times"),
        pytest.param({"space": {"lr_per_16": [0.1, 0.2]}}, {"learning-rate-high": WARNING}, id="all above 4 times"),
        pytest.param({"space": {"lr_per_16": 0.5}}, {"learning-rate-hopeless": ERROR}, id="all above 16 times"),
        pytest.param({"space": {"lr_per_16": 0.5, "optimizer": "adam"}}, {}, id="not SGD"),
        pytest.param({"space": {"batch_size": [8, 32]}}, {"batch-above-data": WARNING}, id="32 of 24 images"),
        pytest.param({"budget": {"images": 16}}, {"budget-below-an-epoch": WARNING}, id="16 of 24 images"),
    ],
)
def test_numbers_that_search_in_vain_are_named(
    patient: Patient, sections: dict[str, Any], expected: dict[str, Severity]
) -> None:
    before = {finding.name for finding in patient.examine().findings}
    sections = {**sections, "space": {**NARROW, **sections.get("space", {})}}
    found = {f.name: f.severity for f in patient.examine(**sections).findings if f.name not in before}
    assert found == expected


def test_a_folder_without_a_dataset_is_one_error(tmp_path: Path) -> None:
    document = {"name": "n", "storage": "sqlite:///unused.db", "data": {"folder": str(tmp_path)}}
    diagnosis = examine(specification_from(document, "a test"))
    assert [finding.name for finding in diagnosis.findings] == ["no-dataset"]
    assert diagnosis.has_errors


def test_the_diagnosis_is_plain_json_without_nan(patient: Patient) -> None:
    class_without_boxes(patient)  # its fit has no figures
    document = json.loads(json.dumps(patient.examine().to_json(), allow_nan=False))
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
    found = [finding for finding in diagnosis.findings if finding.name == "degenerate-boxes"]
    files = {text.split(":")[0] for finding in found for text in finding.examples}
    assert files == {"BloodImage_00338.jpg", "BloodImage_00343.jpg"}
    assert not diagnosis.has_errors
