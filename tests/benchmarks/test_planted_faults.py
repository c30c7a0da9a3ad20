"""Every planted fault in data and configuration is named first, and healthy data has no error."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks import planted_faults
from benchmarks.parts.planted_data import BCCD, CASES, HEALTHY, Case, Healthy


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES])
def test_the_planted_fault_is_named_first(case: Case) -> None:
    assert case.run() == case.expected


@pytest.mark.parametrize("healthy", [pytest.param(healthy, id=healthy.name) for healthy in HEALTHY])
def test_healthy_data_has_no_error(healthy: Healthy) -> None:
    assert healthy.run().startswith("0 errors")


def test_each_family_of_faults_that_data_and_configuration_show_is_planted() -> None:
    families = {case.family.split()[0].rstrip(",") for case in CASES}
    assert families >= {"F4", "F11", "F14", "F15", "F16", "F17", "F18", "F19", "F20", "F28", "F30"}
    assert len(CASES) >= 50
    assert len(HEALTHY) == 2 + BCCD.is_dir()


@dataclass(frozen=True)
class Fake:
    name: str
    expected: str
    found: str

    def run(self) -> str:
        return self.found


def test_a_case_that_is_named_otherwise_counts_as_wrong() -> None:
    table = planted_faults.table_of("Made up", [Fake("a", "x", "x"), Fake("b", "x", "x without y")])
    assert table.caption == "Made up: 1 of 2 named first"
    assert [row[-1] for row in table.rows] == ["yes", "no"]


def test_the_document_keeps_the_rows_of_training_when_only_data_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = tmp_path / "planted.md"
    document.write_text("# Old\n\n<!-- begin planted-training -->\nkept\n<!-- end planted-training -->\n")
    monkeypatch.setattr(planted_faults, "CASES", (Fake("a", "x", "x"),))
    monkeypatch.setattr(planted_faults, "HEALTHY", (Fake("sample", "", "0 errors (nothing)"),))
    planted_faults.main(training=False, output=document)
    text = document.read_text()
    assert "kept" in text
    assert "| a | x | x | yes |" in text
    assert "Healthy data: 1 of 1 without an error" in text
