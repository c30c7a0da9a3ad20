import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from detector.data.dataset import DataError
from detector.data.layout import find_sources, left_alone
from detector.data.pair import load_pair
from detector.data.sample_data import write_sample
from detector.data_source import DataFormat


def _move(coco: Any, annotations: str, images: str) -> Path:
    """The COCO folder again, with file and images at these places."""
    root = coco.root.parent / "data"
    (root / annotations).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(coco.source.annotations, root / annotations)
    shutil.copytree(coco.source.images, root / images, dirs_exist_ok=True)
    return root


@pytest.mark.parametrize(
    ("annotations", "images"),
    [
        ("annotations/instances_train2017.json", "train2017"),
        ("annotations/instances_train2017.json", "images/train2017"),
        ("annotations/instances_train2017.json", "train"),
        ("annotations/instances_train.json", "train"),
        ("annotations/instances_train.json", "images/train"),
        ("annotations/instances_train.json", "images"),
        ("annotations/instances_default.json", "images"),
        ("train.json", "images"),
        ("train.json", "images/train"),
        ("train.json", "train/images"),
        ("train.json", "."),
        ("annotations/train.json", "images"),
        ("annotations/train.json", "annotations"),
        ("train/_annotations.coco.json", "train"),
        ("shapes/train.json", "shapes/images"),
        ("labels.json", "data"),
        ("via_export_coco.json", "."),
        ("annotations/instances_default.json", "images/default"),
        ("Train/_annotations.json", "Train"),
        ("result.json", "anything/at/all"),
    ],
)
def test_coco_training_data_is_found_with_its_images(coco: Any, annotations: str, images: str) -> None:
    root = _move(coco, annotations, images)
    train, validation = find_sources(root)
    assert train.format is DataFormat.COCO
    assert train.annotations == root / annotations
    assert train.images.resolve() == (root / images).resolve()
    assert validation is None


@pytest.mark.parametrize(
    ("train", "validation", "images"),
    [
        ("annotations/instances_train2017.json", "annotations/instances_val2017.json", "val2017"),
        ("annotations/instances_train.json", "annotations/instances_val.json", "images/val"),
        ("train.json", "val.json", "images"),
        ("train.json", "valid.json", "images/val"),
        ("train.json", "validation.json", "images"),
        ("train/_annotations.coco.json", "valid/_annotations.coco.json", "valid"),
        ("annotations/instances_Train.json", "annotations/instances_Validation.json", "images/Validation"),
        ("train/_annotations.json", "val/_annotations.json", "val"),
        ("coco_train.json", "coco_val.json", "imgs"),
    ],
)
def test_coco_validation_data_is_found_beside_it(coco: Any, train: str, validation: str, images: str) -> None:
    _move(coco, train, images)
    root = _move(coco, validation, images)
    found = find_sources(root)[1]
    assert found is not None
    assert found.annotations == root / validation
    assert found.images == root / images


def test_the_image_folder_is_the_one_that_holds_the_first_image(coco: Any) -> None:
    root = _move(coco, "annotations/instances_train.json", "images")
    (root / "train").mkdir()
    assert find_sources(root)[0].images == root / "images"


def test_voc_lists_are_preferred_in_the_order_train_trainval_all(voc: Any) -> None:
    lists = voc.root / "ImageSets" / "Main"
    train, validation = find_sources(voc.root)
    assert validation is not None
    assert (train.split, validation.split) == (lists / "train.txt", lists / "val.txt")
    (lists / "val.txt").unlink()
    assert find_sources(voc.root)[1] is None
    (lists / "train.txt").rename(lists / "trainval.txt")
    assert find_sources(voc.root)[0].split == lists / "trainval.txt"
    shutil.rmtree(voc.root / "ImageSets")
    train, validation = find_sources(voc.root)
    assert (train.split, validation) == (None, None)
    assert len(load_pair(train, validation, share=0.34, seed=0)[1].images) == 1


def test_a_dataset_one_folder_down_is_found(voc: Any) -> None:
    devkit = voc.root.parent / "VOCdevkit"
    devkit.mkdir()
    voc.root.rename(devkit / "VOC2012")
    (devkit / "readme").mkdir()
    assert find_sources(devkit)[0].images == devkit / "VOC2012" / "JPEGImages"
    shutil.copytree(devkit / "VOC2012", devkit / "VOC2007")
    with pytest.raises(DataError, match=r"several fit as training data \(VOC2007/Annotations, VOC2012/Annotations\)"):
        find_sources(devkit)


@pytest.mark.parametrize(
    ("annotations", "images"),
    [
        ("annots", "images"),
        ("annotations", "images"),
        (".", "."),
        ("Annotations", "JPEGImages"),
        ("a/b/xmls", "a/b/pictures"),
        ("train", "train"),
        ("labels/train", "images/train"),
    ],
)
def test_voc_data_is_found_with_its_images(voc: Any, annotations: str, images: str) -> None:
    root = voc.root.parent / "data"
    shutil.copytree(voc.root / "Annotations", root / annotations, dirs_exist_ok=True)
    shutil.copytree(voc.root / "JPEGImages", root / images, dirs_exist_ok=True)
    train, validation = find_sources(root)
    assert (train.format, train.split, validation) == (DataFormat.VOC, None, None)
    assert (train.annotations, train.images) == (root / annotations, root / images)


@pytest.mark.parametrize("names", [("train", "valid"), ("Training", "Validation")])
def test_voc_splits_in_folders_of_their_own_are_found(voc: Any, names: tuple[str, str]) -> None:
    root = voc.root.parent / "data"
    for name in (*names, "test"):
        shutil.copytree(voc.root / "Annotations", root / name)
        shutil.copytree(voc.root / "JPEGImages", root / name, dirs_exist_ok=True)
    train, validation = find_sources(root)
    assert validation is not None
    assert (train.images.name, validation.images.name) == names
    assert left_alone(root) == ("test",)


def test_two_training_files_are_not_guessed_between(coco: Any) -> None:
    _move(coco, "annotations/instances_train2014.json", "train2014")
    root = _move(coco, "annotations/instances_train2017.json", "train2017")
    with pytest.raises(
        DataError, match=r"several fit as training data \(annotations/instances_train2014.json"
    ) as caught:
        find_sources(root)
    section = yaml.safe_load(str(caught.value).partition("\n\n")[2])  # it is what may be written into study.yaml
    assert section["data"]["train"]["annotations"] == f"{root}/annotations/instances_train2014.json"
    assert section["data"]["train"]["images"] == f"{root}/train2014"


def test_an_unknown_layout_is_answered_with_what_was_sought_and_found(tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    (tmp_path / "data.yaml").touch()
    with pytest.raises(DataError) as caught:
        find_sources(tmp_path)
    message = str(caught.value)
    for part in ("instances_train2017.json", "train.json", "Annotations/", "_annotations.coco.json"):
        assert part in message
    assert "but found data.yaml, labels/" in message


def test_a_missing_and_an_empty_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such folder"):
        find_sources(tmp_path / "nowhere")
    with pytest.raises(DataError, match="the folder is empty"):
        find_sources(tmp_path)


def test_an_empty_annotation_file_is_left_to_the_reader(tmp_path: Path) -> None:
    (tmp_path / "train.json").touch()
    with pytest.raises(DataError, match="not valid JSON"):
        load_pair(*find_sources(tmp_path), share=0.2, seed=0)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a/1.json", '{"shapes": [], "imagePath": "1.jpg"}', "a/1.json looks like LabelMe's files"),
        ("via.json", '{"_via_settings": {}}', "via.json looks like a project of VGG's VIA"),
        ("project.json", '[{"annotations": [{"result": [{"from_name": "x"}]}]}]', "Label Studio's own JSON"),
        ("_annotations.createml.json", '[{"image": "a", "annotations": [{"coordinates": {}}]}]', "CreateML"),
        ("annotations.xml", '<annotations><meta/><image id="0"/></annotations>', "choose Export task dataset"),
    ],
)
def test_files_of_tools_that_are_not_read_are_named_with_what_to_export(
    tmp_path: Path, name: str, content: str, says: str
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError) as caught:
        find_sources(tmp_path)
    assert says in str(caught.value)


@pytest.mark.parametrize("name", ["val.json", "annotations/instances_test2017.json"])
def test_a_folder_without_training_data_is_told_so(coco: Any, name: str) -> None:
    with pytest.raises(DataError, match=r"are validation or test data, and nothing is training data"):
        find_sources(_move(coco, name, "images"))


def test_lists_at_the_top_with_two_paths_a_line_are_voc_lists(voc: Any) -> None:
    shutil.rmtree(voc.root / "ImageSets")
    (voc.root / "train.txt").write_text(
        "JPEGImages/one.png Annotations/one.xml\nJPEGImages/two.png Annotations/two.xml\n"
    )
    (voc.root / "valid.txt").write_text("JPEGImages/three.png Annotations/three.xml\n")
    train, validation = load_pair(*find_sources(voc.root), share=0.2, seed=0)
    assert (len(train.images), len(validation.images)) == (2, 1)


@pytest.mark.parametrize(
    ("names", "images", "annotations"),
    [
        (["pics/a.jpg", "notes/x.json"], "pics", "notes/x.json"),
        (["pics/a.jpg", "pics/b.jpg", "thumbs/a.jpg", "marks/a.xml"], "pics", "marks"),
        (["a.jpg"], "", "FILE.json_OR_FOLDER_OF_XML"),
        (["marks/a.csv"], "FOLDER_OF_IMAGES", "marks/a.csv"),
    ],
)
def test_a_refusal_ends_with_the_lines_that_would_name_what_is_there(
    tmp_path: Path, names: list[str], images: str, annotations: str
) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    with pytest.raises(DataError) as caught:
        find_sources(tmp_path)
    there = [str(tmp_path / part) if part.islower() or not part else part for part in (images, annotations)]
    expected = f"data:\n  train: {{images: {there[0].rstrip('/')}, annotations: {there[1]}}}"
    assert str(caught.value).endswith(expected)


def test_validation_data_alone_is_answered_with_the_lines_that_train_on_it(tmp_path: Path) -> None:
    write_sample(tmp_path / "data", train=4, validation=2)
    (tmp_path / "data" / "train.json").unlink()
    with pytest.raises(DataError) as caught:
        find_sources(tmp_path / "data")
    lines = str(caught.value).partition("data:\n")[2]
    assert f"annotations: {tmp_path / 'data' / 'val.json'}" in lines
