"""The table of faults names tests; they must exist."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"tests/[\w/]+\.py(?:::\w+)+", TEXT)))


@pytest.mark.parametrize("name", NAMED)
def test_every_test_that_the_table_of_faults_names_exists(name: str) -> None:
    path, *parts = name.split("::")
    body: list[ast.stmt] = ast.parse((ROOT / path).read_text(encoding="utf-8")).body
    for part in parts:
        found = [node for node in body if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == part]
        assert found, f"{path} has no {part}"
        body = found[0].body


def test_every_fault_has_a_row_with_a_test() -> None:
    rows: dict[int, str] = {}
    for line in TEXT.splitlines():
        if match := re.match(r"\| (\d*) \|", line):
            number = int(match[1]) if match[1] else max(rows)
            rows[number] = rows.get(number, "") + line
    assert sorted(rows) == [*range(1, 25), 28]
    assert [number for number, text in rows.items() if "test_" not in text and "the same" not in text] == []
