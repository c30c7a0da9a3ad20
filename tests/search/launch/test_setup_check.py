"""A trainer is set up before a study exists."""

import io
from dataclasses import replace
from pathlib import Path

import pytest

from detector.config import ConfigError
from detector.data.sample_data import write_sample
from search.exit_codes import ExitCode, exit_code_of
from search.launch.launching import launch, only_create
from search.launch.setup_check import LOG, _refusal, require_setup
from search.report.untrained import read_untrained
from search.study.specification import Specification, specification_from
from search.terminal import PlainConsole
from search.trainer.exits import SetupFailed
from storage.connection.database import Database
from storage.study import find_study, study_names
from trial.outcome import Outcome
from trial.verdict import Verdict


@pytest.fixture
def console() -> PlainConsole:
    return PlainConsole(file=io.StringIO(), width=400)


def specification_of(tmp_path: Path, **detector: object) -> Specification:
    folder = tmp_path / "sample"
    write_sample(folder, train=24, validation=8)
    document = {
        "name": "sample",
        "storage": f"sqlite:///{tmp_path / 'study.db'}",
        "data": {"folder": str(folder)},
        "detector": {"canvas": "64x64", **detector},
        "budget": {"trials": 1, "images": 32, "rungs": [32]},
        "space": {"batch_size": 4, "anchor_scales": 1, "anchor_ratios": 1},
    }
    return specification_from(document, "this test")


def test_without_weights_a_machine_that_runs_no_worker_has_nothing_to_try(tmp_path, console):
    require_setup(specification_of(tmp_path), console, folder=tmp_path, on_this_machine=False)
    assert not (tmp_path / "logs").exists()
    analytic = replace(specification_of(tmp_path), trainer="analytic")
    require_setup(analytic, console, folder=tmp_path, on_this_machine=True)
    assert not (tmp_path / "logs").exists()


@pytest.mark.parametrize(
    ("outcome", "code", "words"),
    [
        (Outcome.BAD_DATA, ExitCode.USER_MUST_ACT, "it did not do"),
        (Outcome.OUT_OF_MEMORY, ExitCode.USER_MUST_ACT, "use a smaller detector.canvas"),
        (Outcome.CRASHED, ExitCode.BUG, f"its log: logs/{LOG}"),
    ],
)
def test_each_way_to_fail_says_that_no_study_was_begun(outcome, code, words):
    error = _refusal(SetupFailed(Verdict(outcome=outcome, message="it did not do")), Path())
    assert exit_code_of(error) is code
    assert words in str(error)
    assert "No study was begun" in str(error)


@pytest.mark.slow
@pytest.mark.parametrize("create", [launch, only_create])
def test_weights_are_opened_before_a_study_exists_and_who_mends_them_goes_on(tmp_path, console, create):
    (tmp_path / "weights.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(64))
    specification = specification_of(tmp_path, weights=str(tmp_path / "weights.h5"))
    with pytest.raises(ConfigError, match=r"weights\.h5 .*\nNo study was begun"):
        create(specification, folder=tmp_path, console=console)
    with Database.open(specification.storage) as database:
        assert study_names(database) == []
    mended = specification_of(tmp_path, weights="none")
    assert create(mended, folder=tmp_path, console=console) in (ExitCode.DONE, ExitCode.USER_MUST_ACT)
    with Database.open(specification.storage) as database:
        assert study_names(database) == ["sample"]
        untrained_ap = read_untrained(find_study(database, "sample"))
    assert (untrained_ap is not None and untrained_ap < 0.05) if create is launch else untrained_ap is None
