"""What `make quick` runs: chosen by what a test uses, and without loading what takes long."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.reach import ROOT, imports, reached


@pytest.mark.parametrize(
    ("module", "library", "may"),
    [
        ("tests/detector/network/test_nms.py", "keras", True),
        ("tests/detector/watch/test_watch.py", "keras", False),  # the watch needs no network
        ("tests/search/worker/test_loop.py", "subprocess", True),  # through search.trainer.link
        ("tests/search/study/test_canvas.py", "subprocess", False),
        ("search/commands/study_file.py", "sqlalchemy", True),  # anywhere in the module itself
        ("tests/support/commands.py", "sqlalchemy", False),  # a command imports it when it is called
        ("tests/support/commands.py", "typer", True),
    ],
)
def test_a_module_reaches_what_it_may_load(module: str, library: str, may: bool) -> None:
    assert (library in reached(ROOT / module)) is may


def test_imports_for_types_alone_are_none(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import keras\nif True:\n    import yaml\n"
        "def load():\n    import ray\n"
    )
    assert imports(file, everywhere=False) == {"typing", "typing.TYPE_CHECKING", "yaml"}
    assert imports(file, everywhere=True) > {"keras", "ray"}


def test_the_quick_tests_are_most_of_a_room_and_their_collection_loads_no_network() -> None:
    collect = "code = pytest.main(['-q', '--collect-only', '-m', 'quick', 'tests/spaces', 'tests/detector'])"
    show = "print(sorted({'jax', 'keras', 'ray', 'tensorflow'} & set(sys.modules)))"
    program = f"import sys, pytest; {collect}; {show}; sys.exit(code)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    *_, loaded = done.stdout.splitlines()
    assert loaded == "[]"
    assert "tests/spaces/test_anchor_search.py::" in done.stdout
    assert "tests/detector/data/test_layout.py::" in done.stdout
    assert "test_anchor_fit_as_matched" not in done.stdout
