"""Event files of a full training, read by TensorFlow."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from detector.config import ConfigError
from search.training.record import EVALUATIONS_FILE, TrainingRecord
from search.training.tensorboard_log import FOLDER, TensorBoardLog
from tests.search.training.conftest import Run
from trial.reports import ProgressReport


def events(folder: Path) -> list[Any]:
    from tensorflow.core.util.event_pb2 import Event
    from tensorflow.python.lib.io.tf_record import tf_record_iterator

    files = sorted(folder.iterdir(), key=lambda file: file.stat().st_mtime_ns)
    return [Event.FromString(record) for file in files for record in tf_record_iterator(str(file))]


def scalars(folder: Path) -> dict[str, dict[int, float]]:
    found: dict[str, dict[int, float]] = {}
    for event in events(folder):
        for value in event.summary.value:
            found.setdefault(value.tag, {})[event.step] = value.simple_value
    return found


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
def test_losses_learning_rate_and_ap_stand_at_the_images_seen_and_a_longer_training_goes_on_there(
    configuration: Path, tmp_path: Path, run: Run
) -> None:
    pytest.importorskip("tensorboardX")
    run(configuration, tmp_path / "trained", images=640, tensorboard=True)
    written = scalars(tmp_path / "trained" / FOLDER)
    evaluations = json.loads((tmp_path / "trained" / EVALUATIONS_FILE).read_text())
    assert written["evaluation/ap"] == pytest.approx({int(at): each["ap"] for at, each in evaluations.items()})
    assert {"loss/total", "training/learning_rate", "training/images_per_s", "evaluation/ap50"} <= written.keys()
    assert max(written["loss/total"]) == 640
    run(configuration, tmp_path / "trained", images=1280, tensorboard=True)
    longer = scalars(tmp_path / "trained" / FOLDER)
    assert sorted(longer["evaluation/ap"]) == [160, 320, 480, 640, 960, 1280]
    starts = [event.step for event in events(tmp_path / "trained" / FOLDER) if event.HasField("session_log")]
    assert starts == [80, 720]  # the first report of each: what an interrupted training wrote beyond is void


def test_a_figure_that_is_not_reported_is_not_written(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    log = TensorBoardLog(TrainingRecord(tmp_path, show=lambda _: None), tmp_path / FOLDER)
    log.progress(ProgressReport(step=0, images=16, figures={"loss": 2.0}, images_per_s=1.0))
    log.close()
    assert scalars(tmp_path / FOLDER) == {"loss/total": {16: 2.0}, "training/images_per_s": {16: 1.0}}


def test_without_the_package_one_sentence_says_what_to_install_before_anything_is_trained(
    configuration: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ConfigError, match=r"^--tensorboard needs tensorboardX, .*: pip install tensorboardX$"):
        run(configuration, tmp_path / "trained", tensorboard=True)
    assert not (tmp_path / "trained" / "training.json").exists()


def test_two_writers_of_one_second_keep_both_their_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorboardX")
    monkeypatch.setattr("time.time", lambda: 1.8e9)
    for images in (16, 32):
        log = TensorBoardLog(TrainingRecord(tmp_path, show=lambda _: None), tmp_path / FOLDER)
        log.progress(ProgressReport(step=0, images=images, figures={"loss": 2.0}, images_per_s=1.0))
        log.close()
    assert scalars(tmp_path / FOLDER)["loss/total"] == {16: 2.0, 32: 2.0}
