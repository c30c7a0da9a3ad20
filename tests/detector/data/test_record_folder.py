"""TFRecord files, written by TensorFlow itself."""

from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from detector.data.dataset import DataError
from detector.data.formats.tfrecord import read_examples
from detector.data.layout import find_sources
from detector.data.pair import load_pair
from detector.data.record_folder import record_files, unpack


def feature(values: list[Any]) -> Any:
    if values and isinstance(values[0], bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
    if values and isinstance(values[0], int):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))


def write_records(file: Path, *examples: dict[str, list[Any]]) -> None:
    with tf.io.TFRecordWriter(str(file)) as writer:
        for example in examples:
            features = tf.train.Features(feature={key: feature(values) for key, values in example.items()})
            writer.write(tf.train.Example(features=features).SerializeToString())


def example_of(image: Path, *, names: list[bytes] | None = None, labels: list[int] | None = None) -> dict[str, Any]:
    """An image of 60 × 40 px with objects at 6, 4 to 30, 20 and at 0, 0 to 60, 40."""
    corners = {"xmin": [0.1, 0.0], "ymin": [0.1, 0.0], "xmax": [0.5, 1.0], "ymax": [0.5, 1.0]}
    return {
        "image/encoded": [image.read_bytes()],
        "image/filename": [b"C:\\x\\" + image.name.encode()],
        "image/object/class/text": names or [],
        "image/object/class/label": labels or [],
        "image/object/is_crowd": [0, 1],
        **{f"image/object/bbox/{key}": values for key, values in corners.items()},
    }


@pytest.fixture
def images(tmp_path: Path, picture: Any) -> list[Path]:
    paths = [tmp_path / f"{name}.png" for name in "ab"]
    for seed, path in enumerate(paths):
        picture(path, seed=seed)
    return paths


def test_records_become_images_and_coco_files_by_split(images: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "records"
    for split in ("train", "valid"):
        (folder / split).mkdir(parents=True)
    names = [b"cat", b"dog"]
    write_records(folder / "train" / "x.tfrecord-00000-of-00001", example_of(images[0], names=names))
    write_records(folder / "valid" / "x.record", example_of(images[1], names=names))
    train, validation = load_pair(*find_sources(unpack(folder, tmp_path / "new")), share=0.2, seed=0)
    assert (train.classes, len(validation.images)) == (("cat", "dog"), 1)
    [image] = train.images
    assert image.name == "000001_a.png"
    assert image.boxes.tolist() == [pytest.approx([4, 6, 20, 30], abs=1e-4), pytest.approx([0, 0, 40, 60], abs=1e-4)]
    assert image.crowd.tolist() == [False, True]
    assert image.path.read_bytes() == images[0].read_bytes()


def test_numbers_are_named_by_the_label_map(images: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "records"
    folder.mkdir()
    write_records(folder / "a.tfrecord", example_of(images[0], labels=[1, 2]))
    with pytest.raises(DataError, match=r"class 1 has no name; put the label map \(.pbtxt\) beside the records"):
        unpack(folder, tmp_path / "without")
    (folder / "map.pbtxt").write_text("item { id: 1 name: \"cat\" }\nitem {\n  name: 'dog'\n  id: 2\n}\n")
    document = (unpack(folder, tmp_path / "new") / "annotations" / "instances_train.json").read_text()
    assert '"name": "cat"' in document
    assert '"name": "dog"' in document


def test_a_folder_of_records_is_answered_with_the_command_that_converts_it(images: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "my records"
    folder.mkdir()
    write_records(folder / "train.tfrecord", example_of(images[0], names=[b"cat", b"dog"]))
    with pytest.raises(DataError, match=r"frcnn-search convert --data '.*my records' --to coco --output NEW_FOLDER"):
        find_sources(folder)


def test_every_kind_of_list_is_read_as_tensorflow_wrote_it(tmp_path: Path) -> None:
    lists: dict[str, list[Any]] = {"a": [b"x", b""], "b": [0.5, -1.25e6], "c": [0, 1, -1, 2**62, -(2**63)], "d": []}
    write_records(tmp_path / "a.tfrecord", lists, {"é": [7]})
    assert list(read_examples(tmp_path / "a.tfrecord")) == [lists, {"é": [7]}]


@pytest.mark.parametrize("cut", [1, 9, 11, 12, 40, -1, -4])
def test_a_file_that_ends_in_the_middle_is_refused(tmp_path: Path, cut: int) -> None:
    write_records(tmp_path / "a.tfrecord", {"a": [b"x" * 100]})
    content = (tmp_path / "a.tfrecord").read_bytes()
    (tmp_path / "a.tfrecord").write_bytes(content[:cut])
    with pytest.raises(DataError, match="is no TFRecord file, or ends in the middle"):
        list(read_examples(tmp_path / "a.tfrecord"))


@given(content=st.binary(max_size=60))
def test_any_record_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.mktemp("record") / "a.tfrecord"
    file.write_bytes(len(content).to_bytes(8, "little") + b"\0" * 4 + content + b"\0" * 4)
    try:
        list(read_examples(file))
    except DataError:
        return


def test_only_records_are_record_files(tmp_path: Path) -> None:
    for name in ("a.tfrecord", "b.TFRecords", "c.record-00001-of-00002", "records.txt", "d.recording"):
        (tmp_path / name).touch()
    assert [file.name for file in record_files(tmp_path)] == ["a.tfrecord", "b.TFRecords", "c.record-00001-of-00002"]
    assert record_files(tmp_path / "nowhere") == []
