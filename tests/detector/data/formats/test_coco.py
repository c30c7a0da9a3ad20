import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detector.data.formats.annotation import DataError
from detector.data.formats.coco import read_coco
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


BAD = [
    ("images missing", _drop("images"), "images must be a list, but is missing"),
    ("annotations missing", _drop("annotations"), "annotations must be a list"),
    ("categories missing", _drop("categories"), "categories must be a list"),
    ("categories a map", _set("categories", to={"1": "cat"}), "categories must be a list, but is {'1'"),
    ("no images", _set("images", to=[]), "images is empty"),
    ("no categories", _set("categories", to=[]), "categories is empty"),
    ("image a text", _set("images", 0, to="a.png"), "images[0] must be an object"),
    ("image id a text", _set("images", 1, "id", to="5"), "images[1].id must be a non-negative integer, but is '5'"),
    ("image id missing", _drop("images", 1, "id"), "images[1].id must be a non-negative integer, but is missing"),
    ("image id a bool", _set("images", 1, "id", to=True), "images[1].id must be"),
    ("image id doubled", _set("images", 1, "id", to=11), "images[1].id: image id 11 occurs twice"),
    ("file name missing", _drop("images", 0, "file_name"), "images[0].file_name must be a non-empty text"),
    ("file name a number", _set("images", 0, "file_name", to=3), "images[0].file_name must be a non-empty text"),
    ("width negative", _set("images", 0, "width", to=-60), "images[0].width must be a positive whole number"),
    ("width a fraction", _set("images", 0, "width", to=60.5), "images[0].width must be a positive whole number"),
    ("height infinite", _set("images", 0, "height", to=float("inf")), "images[0].height must be a positive"),
    ("category id a float", _set("categories", 0, "id", to=1.0), "categories[0].id must be"),
    ("category id doubled", _set("categories", 0, "id", to=4), "category id 4 occurs twice"),
    ("category name doubled", _set("categories", 0, "name", to="cat"), "category name 'cat' occurs twice"),
    ("category name empty", _set("categories", 0, "name", to=" "), "categories[0].name must be a non-empty text"),
    ("annotation id doubled", _set("annotations", 2, "id", to=100), "annotation id 100 occurs twice"),
    ("annotation id null", _set("annotations", 2, "id", to=None), "annotations[2].id must be"),
    ("unknown image", _set("annotations", 0, "image_id", to=12), "no image has the id 12"),
    ("unknown category", _set("annotations", 0, "category_id", to=5), "unknown category id 5; known are 4, 90"),
    ("bbox missing", _drop("annotations", 0, "bbox"), "annotations[0].bbox must be four numbers"),
    ("bbox short", _set("annotations", 0, "bbox", to=[1, 2, 3]), "annotations[0].bbox must be four numbers"),
    ("bbox of texts", _set("annotations", 0, "bbox", to=["1", "2", "3", "4"]), "must be four numbers"),
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
