import hashlib
import io
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detector.data.formats.coco import json_stream
from detector.data.formats.coco.json_stream import JsonStream, NoObject
from detector.data.formats.coco.reader import read_coco
from detector.data_source import DataFormat, DataSource

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def read(text: str | bytes) -> dict[str, Any]:
    content = text.encode() if isinstance(text, str) else text
    members = JsonStream(io.BytesIO(content)).members()
    return {key: list(value) if isinstance(value, Iterator) else value for key, value in members}


@pytest.fixture
def tiny_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every value is cut somewhere, every character of more than one byte too."""
    monkeypatch.setattr(json_stream, "PIECE_BYTES", 3)


@given(document=st.dictionaries(st.text(), VALUES, max_size=5), indent=st.sampled_from([None, 1]), ascii=st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
def test_an_object_in_pieces_is_what_it_is_as_a_whole(tiny_pieces, document, indent, ascii) -> None:
    text = json.dumps(document, indent=indent, ensure_ascii=ascii)
    try:
        content = text.encode()
    except UnicodeEncodeError:  # a lone surrogate, which no file can hold
        return
    assert read(content) == document


@given(document=st.dictionaries(st.text(max_size=3), VALUES, min_size=1, max_size=3), data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100, deadline=None)
def test_a_file_that_was_cut_off_is_refused(tiny_pieces, document, data) -> None:
    text = json.dumps(document)
    end = data.draw(st.integers(0, len(text) - 1))
    with pytest.raises(json.JSONDecodeError):
        read(text[:end])


@pytest.mark.parametrize(
    "text",
    ["", "{", "{,}", '{"a" 1}', '{"a": 1,}', '{"a": [1 2]}', '{"a": [1,]}', "{1: 2}", '{"a": 1} x', '{"a": 1}{}'],
)
def test_mistakes_are_those_of_the_whole_with_their_place(tiny_pieces, text: str) -> None:
    text = text.replace(":", ": \n ", 1)
    with pytest.raises(json.JSONDecodeError) as here:
        read(text)
    with pytest.raises(json.JSONDecodeError) as there:
        json.loads(text)
    assert (here.value.lineno, here.value.colno) == (there.value.lineno, there.value.colno)


@pytest.mark.parametrize(("text", "kind"), [("[1, 2]", "list"), ('"a"', "str"), ("12 ", "int"), (" null", "NoneType")])
def test_json_of_another_kind_is_named(tiny_pieces, text: str, kind: str) -> None:
    with pytest.raises(NoObject, match=kind):
        read(text)


def test_what_python_writes_and_json_forbids_is_read(tiny_pieces) -> None:
    found = read('{"a": [NaN, -Infinity, Infinity]}')["a"]
    assert str(found) == "[nan, -inf, inf]"


def test_a_list_that_nobody_looks_at_is_passed_over() -> None:
    stream = JsonStream(io.BytesIO(b'{"a": [1, 2, {"b": []}], "c": 4}'))
    assert [key for key, _ in stream.members()] == ["a", "c"]
    assert stream.digest == hashlib.sha256(b'{"a": [1, 2, {"b": []}], "c": 4}').hexdigest()


@pytest.mark.bulk
def test_memory_holds_the_boxes_and_not_their_outlines(tmp_path: Path) -> None:
    """20 MB of which nearly all are outlines: as one object Python takes six times that."""
    outline = [[float(number) + 0.5 for number in range(250)]]
    row = {"image_id": 1, "category_id": 1, "bbox": [1.5, 2.5, 30.0, 40.0], "segmentation": outline}
    file = tmp_path / "large.json"
    with file.open("w") as opened:
        opened.write('{"images": [{"id": 1, "file_name": "a.png", "width": 640, "height": 480}], "annotations": [')
        opened.write(",".join(json.dumps({"id": number, **row}) for number in range(12_000)))
        opened.write('], "categories": [{"id": 1, "name": "cell"}]}')
    assert file.stat().st_size > 18e6
    tracemalloc.start()
    source = DataSource(format=DataFormat.COCO, images=tmp_path, annotations=file)
    annotations = read_coco(source)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(annotations.images[0].boxes) == 12_000
    assert peak < 12e6 + 4 * json_stream.PIECE_BYTES
