"""The texts of all formats for the configurations, as they were when the real frameworks loaded them.

After a change that is meant: python -m tests.support.golden_exports, look at the difference, run `make check-exports`.
"""

from pathlib import Path

import pytest

from tests.support.golden_exports import FOLDER, golden_texts

FILES = sorted(golden_texts())


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_as_the_frameworks_have_seen_it(name: str) -> None:
    assert golden_texts()[name] == (FOLDER / name).read_text(encoding="utf-8")


def test_no_golden_file_is_left_over() -> None:
    found = {path.relative_to(FOLDER).as_posix() for path in Path(FOLDER).rglob("*") if path.is_file()}
    assert found == set(FILES)
