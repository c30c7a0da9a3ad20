"""Checkpoints: whole or not there, newest valid first."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.training.checkpoint import (
    MANIFEST,
    STATE,
    Checkpoint,
    drop_checkpoints,
    images_of_newest,
    newest_checkpoint,
    save_checkpoint,
)

ROOT = Path(__file__).resolve().parents[3]


def checkpoint(images: int) -> Checkpoint:
    return Checkpoint(arrays={"weights/a": np.full((3, 2), images, np.float32)}, images=images, step=images // 4)


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, checkpoint(40))
    found = newest_checkpoint(tmp_path)
    assert found is not None
    assert (found.images, found.step) == (40, 10)
    np.testing.assert_array_equal(found.arrays["weights/a"], np.full((3, 2), 40, np.float32))


def test_only_the_newest_two_are_kept_and_the_newest_is_loaded(tmp_path: Path) -> None:
    for images in (40, 80, 120):
        save_checkpoint(tmp_path, checkpoint(images))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-00000080", "checkpoint-00000120"]
    found = newest_checkpoint(tmp_path)
    assert found is not None
    assert found.images == 120


def damage(path: Path, data: st.DataObject) -> None:
    """Cut the file off somewhere, or flip one bit of it."""
    content = bytearray(path.read_bytes())
    position = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[position] ^= 1 << data.draw(st.integers(0, 7))
    else:
        del content[position:]
    path.write_bytes(content)


@pytest.mark.parametrize("name", [STATE, MANIFEST])
@settings(max_examples=40)
@given(data=st.data())
def test_a_torn_or_altered_checkpoint_falls_back_to_the_one_before(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("trial")
    save_checkpoint(folder, checkpoint(40))
    damage(save_checkpoint(folder, checkpoint(80)) / name, data)
    found = newest_checkpoint(folder)
    assert found is not None
    assert found.images == 40


@settings(max_examples=10)
@given(data=st.data())
def test_where_all_are_damaged_there_is_none_and_the_trial_begins_anew(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("trial")
    for images in (40, 80):
        damage(save_checkpoint(folder, checkpoint(images)) / STATE, data)
    assert newest_checkpoint(folder) is None


def test_a_damaged_checkpoint_is_named_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (save_checkpoint(tmp_path, checkpoint(40)) / STATE).write_bytes(b"torn")
    assert newest_checkpoint(tmp_path) is None
    assert "checkpoint-00000040 is damaged (its contents are not what was written)" in caplog.text


FILL_THE_DISK = """
import resource, sys
from pathlib import Path
import numpy as np
from detector.training.checkpoint import Checkpoint, save_checkpoint
folder = Path(sys.argv[1])
save_checkpoint(folder, Checkpoint(arrays={"a": np.zeros(100_000, np.float32)}, images=40, step=10))
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))  # of 400,000 bytes
try:
    save_checkpoint(folder, Checkpoint(arrays={"a": np.ones(100_000, np.float32)}, images=80, step=20))
except Exception as error:
    from search.trainer.exits import says_disk_full
    sys.exit(0 if says_disk_full(error) else repr(error))
sys.exit("it could be written")
"""


def test_a_disk_that_fills_up_in_the_middle_leaves_the_checkpoint_before_and_no_rubbish(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FILL_THE_DISK, str(tmp_path)]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-00000040"]
    found = newest_checkpoint(tmp_path)
    assert found is not None
    assert found.images == 40


def test_a_folder_without_a_manifest_counts_as_nothing(tmp_path: Path) -> None:
    (tmp_path / "checkpoint-00000040").mkdir()
    assert newest_checkpoint(tmp_path) is None


def test_nothing_is_left_of_a_trial_that_is_over(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, checkpoint(40))
    drop_checkpoints(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("manifest", ["[" * 20_000 + "]" * 20_000, '{"images": ' + "9" * 5_000 + "}", "[1]", "7"])
def test_a_manifest_that_nobody_wrote_is_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, manifest: str
) -> None:
    save_checkpoint(tmp_path, checkpoint(40))
    (save_checkpoint(tmp_path, checkpoint(80)) / MANIFEST).write_text(manifest)
    found = newest_checkpoint(tmp_path)
    assert found is not None
    assert found.images == 40
    assert "passed over" in caplog.text


@pytest.mark.parametrize(
    ("state", "facts"),
    [
        pytest.param(b"not safetensors", {"images": 80, "step": 20}, id="a state that is none"),
        pytest.param(b"\xff" * 8 + b"{}", {"images": 80, "step": 20}, id="a header of 18 quintillion bytes"),
        pytest.param(None, {"images": -80, "step": 20}, id="images below 0"),
        pytest.param(None, {"images": "80", "step": [20]}, id="counts of other types"),
    ],
)
def test_a_checkpoint_that_agrees_with_itself_and_still_is_none_is_passed_over(
    tmp_path: Path, state: bytes | None, facts: dict[str, object]
) -> None:
    save_checkpoint(tmp_path, checkpoint(40))
    folder = save_checkpoint(tmp_path, checkpoint(80))
    if state is not None:
        (folder / STATE).write_bytes(state)
    digest = hashlib.sha256((folder / STATE).read_bytes() + f"{facts['images']} {facts['step']}".encode())
    (folder / MANIFEST).write_text(json.dumps({**facts, "sha256": digest.hexdigest()}))
    found = newest_checkpoint(tmp_path)
    assert found is not None
    assert found.images == 40


def test_how_far_the_newest_checkpoint_is_stands_in_its_name(tmp_path: Path) -> None:
    assert images_of_newest(tmp_path) == 0
    for name in ("checkpoint-00000040", "checkpoint-00000120", "checkpoint-notes"):
        (tmp_path / name).mkdir()
    assert images_of_newest(tmp_path) == 120


def test_who_may_read_a_checkpoint_is_decided_by_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        folder = save_checkpoint(tmp_path, Checkpoint(arrays={"a": np.zeros(3, np.float32)}, images=8, step=1))
    finally:
        os.umask(before)
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in folder.iterdir()} == {
        "state.safetensors": "0o640",
        "MANIFEST.json": "0o640",
    }
