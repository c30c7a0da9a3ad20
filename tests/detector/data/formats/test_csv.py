from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detector.data.dataset import DataError, load_dataset
from detector.data.layout import find_sources
from detector.data.pair import load_pair
from detector.data_source import DataFormat

#: Each a table of images of 60 × 40 px: a cat at 10, 5 to 30, 35 in a.png, a dog at 0, 0 to 20, 10 in b.png.
TABLES = {
    "TensorFlow's tutorials": (
        "filename,width,height,class,xmin,ymin,xmax,ymax\na.png,60,40,cat,10,5,30,35\nb.png,60,40,dog,0,0,20,10\n"
    ),
    "RetinaNet": "images/a.png,10,5,30,35,cat\nimages/b.png,0,0,20,10,dog\n",
    "sides": "image_id,x,y,w,h,label\na,10,5,20,30,cat\nb,0,0,20,10,dog\n",
    "one cell": 'image_id,width,height,bbox,class\na,60,40,"[10, 5, 20, 30]",cat\nb,60,40,"[0, 0, 20, 10]",dog\n',
    "semicolons": "Filename;Class;XMin;YMin;XMax;YMax\na.png;cat;10;5;30;35\nb.png;dog;0;0;20;10\n",
    "Windows": "\ufefffile,class,x1,y1,x2,y2\r\nC:\\x\\a.png,cat,10,5,30,35\r\nC:\\x\\b.png,dog,0,0,20,10\r\n",
    "fractions": "ImageID,LabelName,XMin,XMax,YMin,YMax\na,cat,0.16666667,0.5,0.125,0.875\nb,dog,0,0.33333333,0,0.25\n",
}


@pytest.fixture
def pictures(tmp_path: Path, picture: Callable[..., None]) -> Path:
    for name in "abc":
        picture(tmp_path / "images" / f"{name}.png", seed=ord(name))
    return tmp_path


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_the_usual_tables_are_read(pictures: Path, table: str) -> None:
    (pictures / "labels.csv").write_text(table, newline="")
    train, validation = find_sources(pictures)
    assert (train.format, validation) == (DataFormat.CSV, None)
    dataset = load_dataset(train)
    assert dataset.classes == ("cat", "dog")
    assert [Path(image.name).name for image in dataset.images] == ["a.png", "b.png"]
    assert dataset.images[0].boxes.tolist()[0] == pytest.approx([5, 10, 35, 30], abs=1e-4)
    assert dataset.images[1].boxes.tolist()[0] == pytest.approx([0, 0, 10, 20], abs=1e-4)


def test_splits_are_told_by_name_and_rows_without_a_box_are_images_without_objects(pictures: Path) -> None:
    head = "filename,class,xmin,ymin,xmax,ymax\n"
    (pictures / "train_labels.csv").write_text(f"{head}a.png,cat,10,5,30,35\na.png,cat,1,1,9,9\nb.png,,,,,\n")
    (pictures / "validation.csv").write_text(f"{head}c.png,cat,10,5,30,35\n")
    train, validation = load_pair(*find_sources(pictures), share=0.2, seed=0)
    assert [len(image.boxes) for image in train.images] == [2, 0]
    assert [image.name for image in validation.images] == ["c.png"]
    assert [(remark.name, remark.count) for remark in train.remarks] == [("images-without-box", 1)]


def test_a_table_without_classes_has_one(pictures: Path) -> None:
    (pictures / "boxes.csv").write_text("image,x1,y1,x2,y2\na.png,10,5,30,35\n")
    assert load_dataset(find_sources(pictures)[0]).classes == ("object",)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ("a.png,cat,10,five,30,35", "boxes.csv: line 2: a box must be four numbers, but is '10, five, 30, 35'"),
        ("a.png,cat,10,5,30", "line 2: a box must be four numbers"),
        (",cat,10,5,30,35", "line 2: the name of an image is missing"),
        ("a.png,,10,5,30,35", "line 2: a class is missing"),
        ("", "the table has no row"),
    ],
)
def test_a_row_that_is_none_is_named(pictures: Path, rows: str, says: str) -> None:
    (pictures / "boxes.csv").write_text("filename,class,xmin,ymin,xmax,ymax\na.png,cat,1,1,9,9\n")
    source = find_sources(pictures)[0]
    source.annotations.write_text(f"filename,class,xmin,ymin,xmax,ymax\n{rows}\n")
    with pytest.raises(DataError, match=says):
        load_dataset(source)


def test_columns_that_are_not_known_are_named(pictures: Path) -> None:
    (pictures / "boxes.csv").write_text("filename,class,xmin,ymin,xmax,ymax\na.png,cat,1,1,9,9\n")
    source = find_sources(pictures)[0]
    source.annotations.write_text("a,b,c\n1,2,3\n")
    with pytest.raises(DataError, match="the columns 'a', 'b', 'c' are not known; name them filename, class, xmin"):
        load_dataset(source)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(text=st.text(max_size=80))
def test_any_text_is_read_or_refused_with_a_data_error(pictures: Path, text: str) -> None:
    (pictures / "boxes.csv").write_text("filename,class,xmin,ymin,xmax,ymax\na.png,cat,1,1,9,9\n")
    source = find_sources(pictures)[0]
    for content in (text, f"filename,class,xmin,ymin,xmax,ymax\n{text}", f"images/a.png,{text}"):
        source.annotations.write_text(content, encoding="utf-8", errors="replace")
        try:
            load_dataset(source)
        except DataError:
            continue
