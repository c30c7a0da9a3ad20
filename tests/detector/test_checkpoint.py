"""Checkpoints: whole or not there, newest valid first."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.checkpoint import STATE, Checkpoint, drop_checkpoints, newest_checkpoint, save_checkpoint


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


@settings(max_examples=25)
@given(data=st.data())
def test_a_torn_or_altered_checkpoint_falls_back_to_the_one_before(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("trial")
    save_checkpoint(folder, checkpoint(40))
    path = save_checkpoint(folder, checkpoint(80)) / STATE
    content = bytearray(path.read_bytes())
    position = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[position] ^= 1
    else:
        del content[position:]
    path.write_bytes(content)
    found = newest_checkpoint(folder)
    assert found is not None
    assert found.images == 40


def test_a_folder_without_a_manifest_counts_as_nothing(tmp_path: Path) -> None:
    (tmp_path / "checkpoint-00000040").mkdir()
    assert newest_checkpoint(tmp_path) is None


def test_nothing_is_left_of_a_trial_that_is_over(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, checkpoint(40))
    drop_checkpoints(tmp_path)
    assert list(tmp_path.iterdir()) == []
