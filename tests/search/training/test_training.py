"""A full training with the analytic trainer: result, resumption, and what it refuses."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from detector.config import ConfigError
from detector.detector_facts import WEIGHTS_FILE
from search.exit_codes import ExitCode
from search.export.metrics_table import metrics_table
from search.training.agreement import AGREEMENT_FILE, agree
from search.training.full_training import evaluation_points
from search.training.record import EVALUATIONS_FILE, TrainingRecord
from tests.search.training.conftest import Run

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("images", "batch_size", "points"),
    [
        pytest.param(20_000, 16, (5_000, 10_000, 15_000, 20_000), id="every quarter"),
        pytest.param(10, 1, (2, 5, 7, 10), id="quarters rounded down"),
        pytest.param(32, 16, (16, 32), id="8 and 16 end with step 1, 24 and 32 with step 2"),
        pytest.param(1, 16, (1,), id="a single image"),
    ],
)
def test_a_training_is_evaluated_at_every_quarter_but_once_for_each_step(
    images: int, batch_size: int, points: tuple[int, ...]
) -> None:
    assert evaluation_points(images, batch_size) == points


def test_a_training_ends_with_its_table_and_its_evaluations_on_disk(
    configuration: Path, tmp_path: Path, run: Run
) -> None:
    code, shown = run(configuration, tmp_path / "trained")
    assert code == ExitCode.DONE
    assert "AP (IoU .50:.95)" in shown
    evaluations = json.loads((tmp_path / "trained" / EVALUATIONS_FILE).read_text())
    assert [int(images) for images in evaluations] == [160, 320, 480, 640]
    assert f"{evaluations['640']['ap']:.3f}" in shown


def test_a_study_file_is_answered_with_the_command_that_exports(study_file: Path, tmp_path: Path, run: Run) -> None:
    with pytest.raises(ConfigError, match=r"is a study file; export a configuration .*: frcnn-search export .*\.yaml"):
        run(study_file, tmp_path / "trained")


def test_a_training_that_is_complete_shows_its_result_again_at_once_and_starts_no_trainer(
    configuration: Path, sample: Path, tmp_path: Path, run: Run
) -> None:
    _, first = run(configuration, tmp_path / "trained")
    (tmp_path / "trained" / "trainer.log").unlink()
    code, again = run(configuration, tmp_path / "trained", trainer="no such trainer")
    assert code == ExitCode.DONE
    assert first.endswith(again)
    assert "weights: " in again
    assert not (tmp_path / "trained" / "trainer.log").exists()


def test_other_data_is_no_repetition_of_a_training_that_is_complete(
    configuration: Path, sample: Path, tmp_path: Path, run: Run
) -> None:
    run(configuration, tmp_path / "trained")
    shutil.copytree(sample, tmp_path / "other")
    moved = run(configuration, tmp_path / "trained", data=tmp_path / "other", trainer="no such trainer")
    assert moved[0] == ExitCode.DONE  # the same, elsewhere
    (tmp_path / "other" / "train.json").write_text((tmp_path / "other" / "train.json").read_text() + " ")
    shutil.move(tmp_path / "other", tmp_path / "moved")
    with pytest.raises(ConfigError, match="another dataset"):
        run(configuration, tmp_path / "trained", data=tmp_path / "moved")


def test_without_images_the_budget_of_the_trial_is_trained(configuration: Path, tmp_path: Path, run: Run) -> None:
    run(configuration, tmp_path / "trained", images=None)
    assert "320" in json.loads((tmp_path / "trained" / EVALUATIONS_FILE).read_text())  # budget.images of the study


def test_the_folder_of_another_training_is_refused(configuration: Path, tmp_path: Path, run: Run) -> None:
    run(configuration, tmp_path / "trained")
    with pytest.raises(ConfigError, match="another training"):
        run(configuration, tmp_path / "trained", seed=99)


def test_a_longer_training_goes_on_where_the_shorter_one_ended_and_says_what_becomes_of_the_rate(
    configuration: Path, tmp_path: Path, run: Run
) -> None:
    run(configuration, tmp_path / "trained", images=640)
    code, shown = run(configuration, tmp_path / "trained", images=800)
    assert code == ExitCode.DONE
    assert shown.startswith(
        "goes on after 640 of 640 images under the schedule of 800: the learning rate was 0.0002 and is 0.002 from here"
    )  # 0.02, divided by ten at 2/3 and 8/9: 0.0002 at the end, and 640 of 800 lie between
    evaluations = json.loads((tmp_path / "trained" / EVALUATIONS_FILE).read_text())
    assert [int(images) for images in evaluations] == [160, 320, 480, 640, 800]  # 200, 400 and 600 were passed already
    assert run(configuration, tmp_path / "trained", images=800, trainer="no such trainer")[0] == ExitCode.DONE


def test_fewer_images_than_were_trained_are_refused(configuration: Path, tmp_path: Path, run: Run) -> None:
    run(configuration, tmp_path / "trained", images=640)
    with pytest.raises(ConfigError, match="has seen 640 already, so that --images must be above that, but is 320"):
        run(configuration, tmp_path / "trained", images=320)
    assert run(configuration, tmp_path / "trained", images=640, trainer="no such trainer")[0] == ExitCode.DONE


def test_weights_without_a_checkpoint_cannot_be_trained_for_longer_but_can_be_started_from(
    configuration: Path, tmp_path: Path, run: Run
) -> None:
    run(configuration, tmp_path / "trained")
    (tmp_path / "trained" / WEIGHTS_FILE).write_bytes(b"of an earlier version")
    with pytest.raises(ConfigError, match=r"no checkpoint.*--weights .*weights\.safetensors"):
        run(configuration, tmp_path / "trained", images=1280)


def test_an_output_that_is_a_file_is_refused(configuration: Path, tmp_path: Path, run: Run) -> None:
    (tmp_path / "trained").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        run(configuration, tmp_path / "trained")


def test_ctrl_c_pauses_and_the_same_command_goes_on_to_the_same_result(
    configuration: Path, tmp_path: Path, run: Run
) -> None:
    script = (
        "import sys\nfrom pathlib import Path\nfrom search.training.full_training import train\n"
        f"sys.exit(train(Path({str(configuration)!r}), images=6400, data=None, output=Path('cut'), seed=None, "
        "trainer='analytic'))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "FRCNN_ANALYTIC_STEP_S": "0.01"}
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL
    ) as process:
        deadline = time.monotonic() + 60
        while not (tmp_path / "cut" / EVALUATIONS_FILE).exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == ExitCode.TRY_LATER
    reached = json.loads((tmp_path / "cut" / EVALUATIONS_FILE).read_text())
    assert "6400" not in reached
    assert run(configuration, tmp_path / "cut", images=6400)[0] == ExitCode.DONE
    assert run(configuration, tmp_path / "whole", images=6400)[0] == ExitCode.DONE
    results = [json.loads((tmp_path / name / EVALUATIONS_FILE).read_text()) for name in ("cut", "whole")]
    assert results[0] == results[1]


@pytest.mark.parametrize(
    "content",
    [
        "7",
        "[1]",
        '{"a": {"ap": 1}}',
        '{"80": 0.5}',
        '{"80": {}}',
        '{"80": {"ap": "high"}}',
        "[" * 20_000 + "]" * 20_000,
    ],
)
def test_evaluations_that_this_program_did_not_write_are_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / EVALUATIONS_FILE).write_text(content)
    with pytest.raises(ConfigError, match=r"evaluations\.json .*; choose another --output"):
        TrainingRecord(tmp_path, show=lambda _: None)


@pytest.mark.parametrize("content", ["7", "[1]", "[" * 20_000 + "]" * 20_000])
def test_an_agreement_that_this_program_did_not_write_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / AGREEMENT_FILE).write_text(content)
    with pytest.raises(ConfigError, match=r"training\.json .*; choose another --output"):
        agree(tmp_path, {"seed": 1})


def test_the_table_shows_overall_sizes_and_classes_and_nothing_that_was_not_measured() -> None:
    console = Console(width=100, file=io.StringIO())
    with console.capture() as captured:
        console.print(metrics_table({"ap": 0.5, "ap50": 0.75, "ap_small": 0.25, "ap/disc": 0.125}))
    text = captured.get()
    for expected in ("0.500", "0.750", "0.250", "AP of disc", "0.125"):
        assert expected in text
    assert "large" not in text
