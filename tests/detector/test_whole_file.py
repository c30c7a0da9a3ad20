"""Files that are there whole or not at all."""

import os
from pathlib import Path

import pytest

from detector.whole_file import write_whole


@pytest.fixture(params=[True, False], ids=["a text", "who writes it"])
def content(request):
    """The content `new`, in both ways to give it."""
    return "new" if request.param else lambda path: path.write_text("new")


def test_the_new_content_takes_the_place_of_the_old_and_keeps_its_mode(tmp_path, content):
    file = tmp_path / "file.json"
    file.write_text("old")
    file.chmod(0o640)
    write_whole(file, content)
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("new", 0o640)
    assert list(tmp_path.iterdir()) == [file]


def test_a_new_file_has_the_mode_that_the_umask_leaves(tmp_path, content):
    before = os.umask(0o027)
    try:
        write_whole(tmp_path / "file.json", content)
    finally:
        os.umask(before)
    assert (tmp_path / "file.json").stat().st_mode & 0o777 == 0o640


def test_a_new_file_has_that_mode_although_its_writer_let_nobody_else_read_it(tmp_path):
    def write(path: Path) -> None:
        path.unlink()
        path.write_text("new")
        path.chmod(0o600)

    before = os.umask(0o022)
    try:
        write_whole(tmp_path / "file.json", write)
    finally:
        os.umask(before)
    assert (tmp_path / "file.json").stat().st_mode & 0o777 == 0o644


def test_a_failure_half_way_leaves_the_old_content_and_no_rubbish(tmp_path):
    file = tmp_path / "file.json"
    file.write_text("old")

    def fail(path: Path) -> None:
        path.write_text("ne")
        raise ValueError("what writes it failed")

    with pytest.raises(ValueError, match="what writes it failed"):
        write_whole(file, fail)
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_failure_to_rename_leaves_no_rubbish(tmp_path):
    (tmp_path / "file.json").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_whole(tmp_path / "file.json", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["file.json"]
