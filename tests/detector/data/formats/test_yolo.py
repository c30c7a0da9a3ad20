from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detector.data.dataset import DataError, load_dataset
from detector.data.formats.yolo.reader import read_yolo
from detector.data.layout import find_sources
from detector.data.pair import load_pair
from detector.data_source import DataFormat, DataSource

#: Of images of 60 × 40 px: class, centre and size, and the corners in pixels.
LINE, CORNERS = "1 0.5 0.5 0.2 0.25", (24, 15, 36, 25)
YAML = "path: .\ntrain: images/train\nval: images/val\nnames: [cat, dog]\n"


@pytest.fixture
def yolo(tmp_path: Path, picture: Callable[..., None]) -> Path:
    """Two training images, one without a label file, and a validation image."""
    for split, names in (("train", "ab"), ("val", "c")):
        for seed, name in enumerate(names):
            picture(tmp_path / "images" / split / f"{name}.png", seed=ord(name) + seed)
        (tmp_path / "labels" / split).mkdir(parents=True)
    (tmp_path / "labels" / "train" / "a.txt").write_text(f"{LINE}\n\n0 0.25 0.5 0.5 1\n")
    (tmp_path / "labels" / "val" / "c.txt").write_text(LINE)
    (tmp_path / "data.yaml").write_text(YAML)
    return tmp_path


def source(folder: Path) -> DataSource:
    return DataSource(format=DataFormat.YOLO, images=folder / "images/train", annotations=folder / "data.yaml")


def test_fractions_become_pixels_and_an_image_without_labels_has_no_object(yolo: Path) -> None:
    train, validation = load_pair(*find_sources(yolo), share=0.2, seed=0)
    assert train.classes == validation.classes == ("cat", "dog")
    first, second = train.images
    assert first.boxes.tolist() == [[15, 24, 25, 36], [0, 0, 40, 30]]  # y1, x1, y2, x2
    assert first.labels.tolist() == [1, 0]
    assert len(second.boxes) == 0
    assert [(remark.name, remark.count) for remark in train.remarks] == [("images-without-annotation", 1)]


@pytest.mark.parametrize(
    "line",
    ["1 0.4 0.375 0.6 0.375 0.6 0.625 0.4 0.625", "1 0.4 0.5 0.5 0.375 0.6 0.5 0.5 0.625", "1 .4 .375 .6 .5 .5 .625"],
)
def test_polygons_and_rotated_boxes_become_the_boxes_around_them(yolo: Path, line: str) -> None:
    (yolo / "labels" / "train" / "a.txt").write_text(line)
    dataset = load_dataset(source(yolo))
    assert dataset.images[0].boxes.tolist()[0] == pytest.approx([15, 24, 25, 36], abs=1e-4)
    assert {remark.name for remark in dataset.remarks} == {"images-without-annotation", "outlines-as-boxes"}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("cat 0.5 0.5 0.2 0.2", r"a.txt: line 1 must be a class number and fractions of the image, but is 'cat"),
        ("-1 0.5 0.5 0.2 0.2", "must begin with a class number"),
        ("0.5 0.5 0.5 0.2 0.2", "must begin with a class number"),
        ("7 0.5 0.5 0.2 0.2", "line 1: class 7 has no name; .*data.yaml names 0 to 1"),
        ("0 0.5 0.5 0.2 0.2 0.99", "with a confidence, these are detections and no labels"),
        ("0 0.5 0.5 0.2", "must have a class, then four numbers or a polygon's points; it has 3"),
        ("0 24 15 36 25", "holds pixels .* divide by them"),
    ],
)
def test_a_line_that_is_none_is_named(yolo: Path, line: str, says: str) -> None:
    (yolo / "labels" / "train" / "a.txt").write_text(line)
    with pytest.raises(DataError, match=says):
        load_dataset(source(yolo))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("names: []\ntrain: x", "names no class"),
        ("names: [cat, cat]\ntrain: x", "two classes have the same name"),
        ("names: [", "not valid YAML"),
        ("- cat", "must hold a map"),
    ],
)
def test_names_that_are_none_are_refused(yolo: Path, text: str, says: str) -> None:
    (yolo / "data.yaml").write_text(text)
    with pytest.raises(DataError, match=says):
        read_yolo(source(yolo))


@pytest.mark.parametrize(
    ("text", "images"),
    [
        ("train: images/train\nval: images/val\nnames: {0: cat, 1: dog}", ("images/train", "images/val")),
        ("train: ../images/train\nval: ../images/val\nnames: [cat, dog]", ("images/train", "images/val")),
        (
            "path: /content/data\ntrain: images/train\nval: images/val\nnames: [cat, dog]",
            ("images/train", "images/val"),
        ),
        ("train: /content/x/images/train\nvalid: images/val\nnames: [cat, dog]", ("images/train", "images/val")),
        ("train: nowhere\nnames: [cat, dog]", ("images/train", "images/val")),
    ],
)
def test_what_data_yaml_names_is_found_on_this_machine(yolo: Path, text: str, images: tuple[str, str]) -> None:
    (yolo / "data.yaml").write_text(text)
    train, validation = find_sources(yolo)
    assert validation is not None
    assert (train.images, validation.images) == tuple(yolo / name for name in images)
    assert len(load_pair(train, validation, share=0.2, seed=0)[0].images) == 2


def test_a_list_of_images_names_a_split(yolo: Path) -> None:
    (yolo / "train.txt").write_text("./images/train/a.png\n/content/data/images/val/c.png\n")
    (yolo / "data.yaml").write_text("train: train.txt\nnames: [cat, dog]")
    train, validation = find_sources(yolo)
    assert validation is None
    dataset = load_dataset(train)
    assert [image.name for image in dataset.images] == ["images/train/a.png", "images/val/c.png"]
    assert [len(image.boxes) for image in dataset.images] == [2, 1]


def test_labels_beside_their_images_need_a_list_of_classes(tmp_path: Path, picture: Callable[..., None]) -> None:
    for name in "ab":
        picture(tmp_path / f"{name}.png", seed=ord(name))
        (tmp_path / f"{name}.txt").write_text(LINE)
    with pytest.raises(DataError, match=r"looks like YOLO data, but no file names its classes"):
        find_sources(tmp_path)
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    train, validation = find_sources(tmp_path)
    assert (train.format, validation) == (DataFormat.YOLO, None)
    assert load_dataset(train).classes == ("cat", "dog")


def test_a_data_yaml_without_its_images_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text("train: images/train\nnames: [cat]")
    with pytest.raises(DataError, match="train: images/train is not there; correct `path` or `train`"):
        find_sources(tmp_path)


FRACTIONS = st.floats(0.05, 0.95)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(cx=FRACTIONS, cy=FRACTIONS, width=FRACTIONS, height=FRACTIONS)
def test_every_box_inside_is_read_as_it_was_written(
    yolo: Path, cx: float, cy: float, width: float, height: float
) -> None:
    width, height = min(width, 2 * cx, 2 * (1 - cx)), min(height, 2 * cy, 2 * (1 - cy))
    (yolo / "labels" / "train" / "a.txt").write_text(f"0 {cx} {cy} {width} {height}")
    [box] = load_dataset(source(yolo)).images[0].boxes.tolist()
    expected = [40 * (cy - height / 2), 60 * (cx - width / 2), 40 * (cy + height / 2), 60 * (cx + width / 2)]
    assert box == pytest.approx(expected, abs=1e-3)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(text=st.text(alphabet="0123456789.-+eEnaif \n\t\0é", max_size=60))
def test_any_text_is_read_or_refused_with_a_data_error(yolo: Path, text: str) -> None:
    (yolo / "labels" / "train" / "a.txt").write_text(text)
    try:
        load_dataset(source(yolo))
    except DataError:
        return


def test_labels_are_those_of_the_file_that_a_name_of_another_machine_means(tmp_path: Path, picture: Any) -> None:
    for name in ("A.PNG", "b.png"):
        (tmp_path / "images").mkdir(exist_ok=True)
        picture(tmp_path / "images" / name, seed=len(name))
    (tmp_path / "labels").mkdir()
    for stem in ("A", "b"):
        (tmp_path / "labels" / f"{stem}.txt").write_text("0 0.5 0.5 0.4 0.4\n")
    (tmp_path / "classes.txt").write_text("cat\n")
    (tmp_path / "train.txt").write_text("C:\\x\\a.png\nb.png\n")
    source = DataSource(
        format=DataFormat.YOLO,
        images=tmp_path / "images",
        annotations=tmp_path / "classes.txt",
        split=tmp_path / "train.txt",
    )
    assert [len(image.boxes) for image in load_dataset(source).images] == [1, 1]
