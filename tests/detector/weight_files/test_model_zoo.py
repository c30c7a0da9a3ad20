"""Detectron2's COCO detectors are fetched once, whole, or not at all, and quickly refused where there is no network."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from detector.config import BackboneName, ConfigError
from detector.weight_files.download import model_zoo, web_answer
from detector.weight_files.download.model_zoo import cached_file, coco_file, coco_weights
from detector.weight_files.found_weights import FileKind
from tests.support.foreign_files import coco_detector
from tests.support.zoo import Zoo, serving, unused_address

SMALL = BackboneName.RESNET18  # the way of a file does not hang on what it holds


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The content of a file of a whole detector with COCO's classes, in Detectron2's format."""
    return coco_detector(tmp_path_factory.mktemp("zoo") / "model.pkl", SMALL).read_bytes()


@pytest.fixture
def zoo(detector: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Zoo]:
    """A server in the model zoo's place, with an empty cache."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr(model_zoo, "PUBLISHED", {SMALL: "faster_rcnn/1/model.pkl"})
    with serving(detector) as server:
        monkeypatch.setattr(model_zoo, "HOST", server.address)
        yield server


def test_a_detector_is_fetched_once_into_the_cache_of_keras(zoo: Zoo, tmp_path: Path) -> None:
    told = []
    found = coco_weights(SMALL, lambda what, done, of: told.append((what, done, of)))
    assert (found.kind, found.backbone, found.has_heads) == (FileKind.DETECTRON2, SMALL, True)
    assert told[-1] == ("fetching the COCO weights", len(zoo.content), len(zoo.content))
    assert coco_file(SMALL) == tmp_path / "keras" / "models" / "faster_rcnn_model.pkl"
    assert zoo.asked == 1


def test_who_wants_it_at_the_same_time_waits_for_it(zoo: Zoo) -> None:
    threads = [threading.Thread(target=coco_file, args=(SMALL,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert zoo.asked == 1


def test_a_file_that_was_damaged_on_disk_is_fetched_again(zoo: Zoo) -> None:
    path = coco_file(SMALL)
    with path.open("r+b") as file:
        file.seek(1000)
        file.write(b"damage")
    assert coco_file(SMALL).read_bytes() == zoo.content
    assert zoo.asked == 2


def test_a_file_that_was_put_there_by_hand_is_taken(zoo: Zoo) -> None:
    path = cached_file(SMALL)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no weights")
    with pytest.raises(ConfigError, match="give a file of weights"):
        coco_file(SMALL)
    path.write_bytes(zoo.content)
    assert coco_file(SMALL) == path
    assert zoo.asked == 0


def test_a_file_of_which_a_part_came_is_none(zoo: Zoo) -> None:
    zoo.announced = len(zoo.content) + 1
    with pytest.raises(ConfigError, match=r"could not be fetched .*; give a file of weights, or imagenet, or none"):
        coco_file(SMALL)
    assert not cached_file(SMALL).exists()
    zoo.announced = None
    assert coco_file(SMALL).read_bytes() == zoo.content


@pytest.mark.parametrize("content", [b"<html>log in first</html>", b"", b"\x80\x04N."], ids=["page", "nothing", "None"])
def test_what_is_no_detector_does_not_enter_the_cache(zoo: Zoo, content: bytes) -> None:
    zoo.content = content
    with pytest.raises(ConfigError, match="give a file of weights, or imagenet, or none"):
        coco_file(SMALL)
    assert not cached_file(SMALL).exists()


@pytest.mark.usefixtures("zoo")
def test_a_refusal_is_told_with_the_ways_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_zoo, "HOST", unused_address())
    with pytest.raises(ConfigError, match=r"could not be fetched \(.*refused.*\); give a file of weights"):
        coco_file(SMALL)


@pytest.mark.usefixtures("zoo")
def test_a_server_that_says_nothing_is_left_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_answer, "ANSWER_S", 0.2)
    monkeypatch.setattr(web_answer, "SILENT_S", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(model_zoo, "HOST", f"http://127.0.0.1:{silent.getsockname()[1]}/zoo")
        began_s = time.monotonic()
        with pytest.raises(ConfigError, match=r"did not answer within 0\.2 s"):
            coco_file(SMALL)
        assert time.monotonic() - began_s < 5


def test_of_a_backbone_that_nobody_published_it_is_said() -> None:
    with pytest.raises(ConfigError, match=r"no detector of a resnet34 that was trained on COCO"):
        coco_file(BackboneName.RESNET34)
