import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detector.data.formats.annotation import DataError
from detector.data.formats.coco.reader import read_coco
from detector.data_source import DataFormat, DataSource

Document = dict[str, Any]


def test_ids_are_kept_and_boxes_become_corners(coco: Any) -> None:
    annotations = read_coco(coco.source)
    assert annotations.categories == {4: "cat", 90: "dog"}
    assert [image.image_id for image in annotations.images] == [11, 5, 70]
    first = annotations.images[0].boxes
    assert first[0].corners == (10, 5, 10 + 20, 5 + 30)
    assert [box.crowd for box in first] == [False, True]
    assert [box.area_px for box in first] == [450.5, None]
    assert annotations.images[2].boxes == ()


def _set(*path: str | int, to: Any) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        place: Any = document
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = to

    return change


def _drop(*path: str | int) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        place: Any = document
        for key in path[:-1]:
            place = place[key]
        del place[path[-1]]

    return change


def _other_images(document: Document) -> None:
    for box in document["annotations"]:
        box["image_id"] += 1000


BAD = [
    ("images missing", _drop("images"), "images must be a list, but is missing"),
    ("annotations missing", _drop("annotations"), "annotations must be a list"),
    ("categories missing", _drop("categories"), "categories must be a list"),
    ("categories a map", _set("categories", to={"1": "cat"}), "categories must be a list, but is {'1'"),
    ("no images", _set("images", to=[]), "images is empty"),
    ("no categories", _set("categories", to=[]), "categories is empty"),
    ("image a text", _set("images", 0, to="a.png"), "images[0] must be an object"),
    (
        "image id missing",
        _drop("images", 1, "id"),
        "images[1].id must be an id, a whole number or a text, but is missing",
    ),
    ("image id a bool", _set("images", 1, "id", to=True), "images[1].id must be"),
    ("image id doubled", _set("images", 1, "id", to=11), "images[1].id: image id 11 occurs twice"),
    ("file name missing", _drop("images", 0, "file_name"), "images[0].file_name must be a non-empty text"),
    ("file name a list", _set("images", 0, "file_name", to=[3]), "images[0].file_name must be a non-empty text"),
    ("width a fraction", _set("images", 0, "width", to=60.5), "images[0].width must be a positive whole number"),
    ("height infinite", _set("images", 0, "height", to=float("inf")), "images[0].height must be a positive"),
    ("category id a fraction", _set("categories", 0, "id", to=1.5), "categories[0].id must be an id"),
    ("category id doubled", _set("categories", 0, "id", to=4), "category id 4 occurs twice"),
    ("category name doubled", _set("categories", 0, "name", to="cat"), "category name 'cat' occurs twice"),
    ("category name empty", _set("categories", 0, "name", to=" "), "categories[0].name must be a non-empty text"),
    (
        "images of another file",
        _other_images,
        "annotations[0].image_id: no image has the id 1011, and 3 of 3 boxes are of no",
    ),
    ("unknown category", _set("annotations", 0, "category_id", to=5), "unknown category id 5; known are 4, 90"),
    ("bbox of five", _set("annotations", 0, "bbox", to=[1, 2, 3, 4, 30]), "bbox has five numbers, a rotated box"),
    ("bbox short", _set("annotations", 0, "bbox", to=[1, 2, 3]), "annotations[0].bbox must be four numbers"),
    ("bbox of words", _set("annotations", 0, "bbox", to=["1", "b", "3", "4"]), "must be four numbers"),
    ("bbox with null", _set("annotations", 0, "bbox", to=[1, 2, None, 4]), "must be four numbers"),
    ("iscrowd 2", _set("annotations", 0, "iscrowd", to=2), "annotations[0].iscrowd must be 0 or 1, but is 2"),
    ("area a text", _set("annotations", 0, "area", to="big"), "annotations[0].area must be a number"),
]


@pytest.mark.parametrize(("change", "message"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_a_broken_document_is_named_with_file_position_and_reason(
    coco: Any, change: Callable[[Document], None], message: str
) -> None:
    change(coco.document)
    with pytest.raises(DataError) as caught:
        read_coco(coco.write())
    assert message in str(caught.value)
    assert "train.json" in str(caught.value)


def _texts(document: Document) -> None:
    for image in document["images"]:
        image |= {"id": str(image["id"]), "width": str(image["width"]), "height": float(image["height"])}
    for category in document["categories"]:
        category["id"] = f"{category['id']}.0"
    for box in document["annotations"]:
        box |= {"bbox": [str(value) for value in box["bbox"]], "iscrowd": str(box.get("iscrowd", 0))}
        box["image_id"] = float(box["image_id"])


MEANT = [
    ("numbers written as texts", _texts),
    ("annotation ids doubled", _set("annotations", 2, "id", to=100)),
    ("no annotation id", _drop("annotations", 2, "id")),
    ("an annotation id of 128 bits", _set("annotations", 2, "id", to=2**127)),
    ("a text for an annotation id", _set("annotations", 2, "id", to="5f0e-11")),
    ("an unused category twice", lambda document: document["categories"].append({"id": 7, "name": "dog"})),
    ("the same image entry twice", lambda document: document["images"].append(dict(document["images"][0]))),
    ("a heading", lambda document: document["categories"][0].update(supercategory="pets")
     or document["categories"].insert(0, {"id": 0, "name": "pets", "supercategory": "none"})),
    ("a background", lambda document: document["categories"].insert(0, {"id": 0, "name": "_background_"})),
]  # fmt: skip


@pytest.mark.parametrize("change", [row[1] for row in MEANT], ids=[row[0] for row in MEANT])
def test_what_exporters_write_otherwise_is_taken_as_meant(coco: Any, change: Callable[[Document], None]) -> None:
    plain = read_coco(coco.source)
    change(coco.document)
    found = read_coco(coco.write())
    assert found.categories == plain.categories
    assert [image.file_name for image in found.images] == [image.file_name for image in plain.images]
    for image, expected in zip(found.images, plain.images, strict=True):
        assert (image.width_px, image.height_px) == (expected.width_px, expected.height_px)
        assert [(box.corners, box.crowd, box.category_id) for box in image.boxes] == [
            (box.corners, box.crowd, box.category_id) for box in expected.boxes
        ]


def test_ids_may_be_texts_without_a_number_in_them(coco: Any) -> None:
    names = {4: "cat-uuid", 90: "dog-uuid"}
    for category in coco.document["categories"]:
        category["id"] = names[category["id"]]
    for box in coco.document["annotations"]:
        box["category_id"] = names[box["category_id"]]
    in_file = [category["id"] for category in coco.document["categories"]]
    assert list(read_coco(coco.write()).categories) == in_file


@pytest.mark.parametrize("size", [-1, 0, None, "-1", ""])
def test_a_size_that_is_none_is_unknown(coco: Any, size: Any) -> None:
    coco.document["images"][0]["width"] = size
    assert read_coco(coco.write()).images[0].width_px is None


def test_what_belongs_to_nothing_is_left_out_and_counted(coco: Any) -> None:
    boxes = coco.document["annotations"]
    boxes += [{**boxes[0], "id": 900, "image_id": 555}, {**boxes[0], "id": 901, "bbox": []}]
    boxes += [{**boxes[0], "id": 902, "bbox": None, "segmentation": []}]
    found = read_coco(coco.write())
    assert sum(len(image.boxes) for image in found.images) == len(boxes) - 3
    assert {remark.name: remark.count for remark in found.remarks} == {
        "boxes-without-image": 1,
        "annotations-without-box": 2,
    }


def test_marks_that_are_not_heeded_are_said(coco: Any) -> None:
    coco.document["annotations"][0] |= {"ignore": 1, "attributes": {"rotation": 45.0}}
    coco.document["annotations"][2] |= {"ignore": 0, "attributes": {"rotation": 0.0}}
    found = read_coco(coco.write())
    assert {remark.name: remark.count for remark in found.remarks} == {"ignore-marks": 1, "rotated-boxes": 1}
    assert [len(image.boxes) for image in found.images] == [2, 1, 0]


def test_an_outline_alone_stands_for_its_box(coco: Any) -> None:
    entry = coco.document["annotations"][0]
    del entry["bbox"]
    entry["segmentation"] = [[10, 5, 30, 5, 30, 35], [12, 7, 13, 8, 14, 9]]
    assert read_coco(coco.write()).images[0].boxes[0].corners == (10, 5, 30, 35)


def test_a_category_without_boxes_that_heads_nothing_stays_a_class(coco: Any) -> None:
    coco.document["categories"].append({"id": 100, "name": "bird", "supercategory": "bird"})
    assert read_coco(coco.write()).categories[100] == "bird"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"images": [,]}', "not valid JSON at line 1, column 13"),
        (b"", "not valid JSON at line 1, column 1"),
        (b"\xff\xfe\x00", "not valid JSON"),
        (b"[]", "holds one JSON object, but this is a list"),
        (b'{"images": ' + b"[" * 200_000, "nested too deeply"),
        (b'{"images": ' + b"9" * 10_000 + b"}", "not valid JSON"),
    ],
    ids=["a stray comma", "empty", "not UTF-8", "a list", "deep nesting", "a huge integer"],
)
def test_a_file_that_is_no_coco_json_is_refused(coco: Any, content: bytes, message: str) -> None:
    coco.source.annotations.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_coco(coco.source)


def test_a_missing_file_and_a_folder_in_its_place_are_named(tmp_path: Path) -> None:
    for path, message in ((tmp_path / "none.json", "is missing"), (tmp_path, "can't be read")):
        with pytest.raises(DataError, match=message):
            read_coco(DataSource(format=DataFormat.COCO, images=tmp_path, annotations=path))


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=6,
)
KEYS = st.sampled_from(["images", "annotations", "categories"])
FIELDS = st.sampled_from(
    ["id", "file_name", "width", "height", "name", "image_id", "category_id", "bbox", "area", "iscrowd"]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(list_name=KEYS, index=st.integers(0, 1), field=FIELDS, value=JUNK)
def test_any_value_anywhere_is_read_or_refused_with_a_data_error(
    coco: Any, list_name: str, index: int, field: str, value: Any
) -> None:
    document = json.loads(json.dumps(coco.document))
    document[list_name][index][field] = value
    coco.source.annotations.write_text(json.dumps(document))
    try:
        annotations = read_coco(coco.source)
    except DataError:
        return
    assert len(annotations.images) == 3
