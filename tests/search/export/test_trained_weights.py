"""What `train` leaves can be used by itself: `evaluate` and `predict` find what the trial's own evaluation found."""

import io
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow
from safetensors.numpy import save_file

from detector.config import Anchors, BackboneName, Canvas, ConfigError, Detector, Hyperparameters
from detector.data.dataset import load_dataset
from detector.data.layout import find_sources
from detector.data.metrics.average_precision import Detections
from detector.data.sample_data import write_sample
from detector.setup import Setup
from search.export.evaluation import evaluate
from search.export.native_messages import hidden_messages
from search.export.prediction import DETECTIONS_FILE, predict
from search.export.weights_file import open_detector
from search.terminal import PlainConsole
from trial.reports import RungReport

ANCHORS = Anchors(sizes_px=((8.0,), (16.0,), (32.0,), (64.0,), (128.0,)), ratios=(1.0,))
DETECTOR = Detector(
    canvas=Canvas(height_px=64, width_px=96),
    backbone=BackboneName.RESNET18,
    weights="none",
    roi_samples=16,
    proposals=64,
)
TRIAL = Hyperparameters(anchors=ANCHORS, batch_size=2, score_threshold=0.0, detection_nms_iou=0.4)
Trained = tuple[Path, dict[str, float], list[Detections]]
QUIET = PlainConsole(quiet=True)


def setup_of(data: Path) -> Setup:
    train, validation = find_sources(data)
    return Setup(
        train=train,
        validation=validation,
        validation_share=0.2,
        detector=DETECTOR,
        anchors_per_cell=2,  # a slot more than the trial uses
        micro_batch=2,
        validation_images=None,
        cache=data.parent / "cache",
        seed=0,
        watch=False,
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("used") / "data"
    write_sample(folder, train=6, validation=5)
    return folder


@pytest.fixture(scope="module")
def trained(data: Path) -> Trained:
    """The weights after two steps of a real training, its figures, and what it finds in the validation images."""
    from detector.training.trainer import WEIGHTS_FILE, Trainer

    trainer, directory = Trainer(setup_of(data)), data.parent / "trial"
    trainer.begin(TRIAL, seed=1, budget_images=4, directory=directory, keep_weights=True)
    report = trainer.advance(4, lambda _: None, lambda: False)
    assert isinstance(report, RungReport)
    running = trainer._running()

    def own(images: Any, extents: Any) -> dict[str, Any]:
        return trainer.predict_step(running.state["weights"], running.frozen, images, extents, running.inputs)

    found = trainer._validation.evaluated(own, 2, lambda *_: None).detections
    return directory / WEIGHTS_FILE, {**report.metrics, "ap": report.ap}, found


def test_evaluate_agrees_with_the_trial_to_the_last_digit(data: Path, trained: Trained) -> None:
    weights, expected, _ = trained
    found = evaluate(weights, data, QUIET)
    assert found == pytest.approx(expected, abs=1e-9, nan_ok=True)


def test_what_is_detected_is_what_the_trainer_detects(data: Path, trained: Trained) -> None:
    weights, _, expected = trained
    validation = find_sources(data)[1]
    assert validation is not None
    images = load_dataset(validation).images
    assert sum(len(each.scores) for each in expected) > 100
    for mine, theirs in zip(open_detector(weights).detect(images), expected, strict=True):
        np.testing.assert_allclose(mine.boxes, theirs.boxes, atol=1e-3)
        np.testing.assert_allclose(mine.scores, theirs.scores, atol=1e-5)
        assert mine.labels.tolist() == theirs.labels.tolist()


def test_a_training_from_whole_weights_begins_where_they_ended(data: Path, trained: Trained, tmp_path: Path) -> None:
    from detector.training.trainer import Trainer

    setup = replace(setup_of(data), detector=replace(DETECTOR, weights=str(trained[0]), frozen_stages=0))
    trainer = Trainer(replace(setup, whole_weights=True, watch=True))
    for seed in (1, 2):  # which draws no heads
        assert trainer.begin(TRIAL, seed=seed, budget_images=4, directory=tmp_path / str(seed)) == 0
        found = trainer.evaluate()
        assert {name: found[name] for name in trained[1]} == pytest.approx(trained[1], abs=1e-9, nan_ok=True)
    assert isinstance(trainer.advance(2, lambda _: None, lambda: False), RungReport)


def test_predict_writes_coco_with_scores_and_a_picture_of_each_image(
    data: Path, trained: Trained, tmp_path: Path
) -> None:
    pictures = sorted((data / "images").glob("val_*"))[:3]
    wide = tmp_path / "wide.png"  # of another size than any image of the training
    with Pillow.open(pictures[0]) as picture:
        picture.resize((250, 90)).save(wide)
    console = PlainConsole(file=io.StringIO(), width=200)
    least = float(np.median(np.concatenate([each.scores for each in trained[2]])))
    count = predict(trained[0], [*pictures, wide], tmp_path / "out", least_score=least, console=console)
    document = json.loads((tmp_path / "out" / DETECTIONS_FILE).read_text())
    assert count == len(document["annotations"]) > 0
    assert [category["name"] for category in document["categories"]] == ["disc", "square", "triangle"]
    assert [image["file_name"] for image in document["images"]] == [str(path) for path in (*pictures, wide)]
    sizes = {image["id"]: (image["width"], image["height"]) for image in document["images"]}
    for each in document["annotations"]:
        x, y, width, height = each["bbox"]
        assert each["score"] >= least
        assert -1e-3 <= x <= x + width <= sizes[each["image_id"]][0] + 1e-2
        assert -1e-3 <= y <= y + height <= sizes[each["image_id"]][1] + 1e-2
    drawn = sorted((tmp_path / "out").glob("*.png"))
    assert len(drawn) == 4
    for file in drawn:
        with Pillow.open(file) as picture:
            assert max(picture.size) == 1024
    assert "found" in console.file.getvalue()  # type: ignore[attr-defined]


def test_messages_of_native_code_are_shown_only_where_something_else_went_wrong(
    capfd: pytest.CaptureFixture[str],
) -> None:

    def work(error: Exception | None) -> None:
        with hidden_messages():
            os.write(2, b"about a driver")
            if error is not None:
                raise error

    work(None)
    with pytest.raises(ConfigError):
        work(ConfigError("a mistake"))
    assert capfd.readouterr().err == ""
    with pytest.raises(RuntimeError):
        work(RuntimeError())
    os.write(2, b", and then as ever")
    assert capfd.readouterr().err == "about a driver, and then as ever"


def test_what_is_no_file_of_trained_weights_is_told(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such file; `frcnn-search train` leaves"):
        evaluate(tmp_path / "none.safetensors", data, QUIET)
    (tmp_path / "text.safetensors").write_text("no weights")
    with pytest.raises(ConfigError, match="is not a safetensors file"):
        evaluate(tmp_path / "text.safetensors", data, QUIET)
    save_file({"a": np.zeros(3, np.float32)}, tmp_path / "others.safetensors")
    with pytest.raises(ConfigError, match="holds weights, but not their shape"):
        evaluate(tmp_path / "others.safetensors", data, QUIET)
    with pytest.raises(ConfigError, match="there is no image in this folder"):
        predict(tmp_path / "none.safetensors", [tmp_path], tmp_path / "out", least_score=0.5, console=QUIET)


def test_facts_of_another_version_are_told(data: Path, trained: Trained, tmp_path: Path) -> None:
    from safetensors import safe_open

    with safe_open(trained[0], framework="np") as file:
        metadata = dict(file.metadata())
    metadata["shape"] = json.dumps({**json.loads(metadata["shape"]), "roi_samples": "many"})
    save_file({"a": np.zeros(3, np.float32)}, tmp_path / "odd.safetensors", metadata=metadata)
    with pytest.raises(ConfigError, match=r"shape\.roi_samples.*another version wrote it"):
        evaluate(tmp_path / "odd.safetensors", data, QUIET)


def test_data_with_another_class_is_refused(trained: Trained, data: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(data, tmp_path / "data")
    for name in ("train.json", "val.json"):
        file = tmp_path / "data" / name
        file.write_text(file.read_text().replace('"disc"', '"ring"'))
    with pytest.raises(ConfigError, match="'ring' are not among the training classes"):
        evaluate(trained[0], tmp_path / "data", QUIET)
