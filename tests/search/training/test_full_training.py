"""A full training by the real trainer: what it leaves agrees with what it said, and it goes on for longer."""

import csv
import io
import json
import os
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from detector.config import Anchors, Canvas, Detector, Hyperparameters
from detector.data.pair import load_pair
from detector.data.sample_data import write_sample
from detector.training.checkpoint import images_of_newest
from search.exit_codes import ExitCode
from search.export.configuration_file import Configuration, Provenance, write_configuration
from search.export.evaluation import evaluate
from search.export.evaluation_files import FILES
from search.export.prediction import DETECTIONS_FILE, predict
from search.study.data_section import Data
from search.terminal import PlainConsole
from search.training.full_training import train
from search.training.record import EVALUATIONS_FILE

pytestmark = pytest.mark.slow

IMAGES, LONGER = 48, 64
QUIET = PlainConsole(quiet=True)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("full") / "data"
    write_sample(folder, train=12, validation=6)
    return folder


@pytest.fixture(scope="module")
def best(data: Path) -> Path:
    """A configuration as `export` writes it."""
    described = Data(folder=data)
    train_set, _ = load_pair(*described.sources(), share=0.2, seed=0)
    anchors = Anchors(sizes_px=((8.0,), (16.0,), (32.0,), (64.0,), (128.0,)), ratios=(1.0,))
    configuration = Configuration(
        hyperparameters=Hyperparameters(anchors=anchors, batch_size=4, score_threshold=0.0, warmup_fraction=0.1),
        detector=Detector(canvas=Canvas(height_px=64, width_px=96), roi_samples=16, proposals=64, micro_batch=2),
        classes=train_set.classes,
        data=described,
        provenance=Provenance(
            study="s", trial=3, ap=0.5, images=IMAGES, budget_images=IMAGES, seed=1, code_version="0",
            dataset_fingerprint=train_set.fingerprint, exported_at="2026-01-01T00:00:00+00:00", anchor_slots=2,
        ),
    )  # fmt: skip
    write_configuration(data.parent / "best.yaml", configuration)
    return data.parent / "best.yaml"


def run(best: Path, output: Path, *, images: int | None = None, weights: str | None = None) -> str:
    console = PlainConsole(file=io.StringIO(), width=150)
    code = train(best, images=images, data=None, output=output, seed=None, weights=weights, console=console)
    assert code == ExitCode.DONE
    return console.file.getvalue()  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def trained(best: Path) -> Path:
    before = os.umask(0o027)
    try:
        run(best, best.parent / "trained")
    finally:
        os.umask(before)
    return best.parent / "trained"


def reported(folder: Path, images: int) -> dict[str, float]:
    evaluations: dict[str, dict[str, float]] = json.loads((folder / EVALUATIONS_FILE).read_text())
    return evaluations[str(images)]


def test_who_may_read_what_a_training_leaves_is_decided_by_the_umask(trained: Path) -> None:
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in trained.rglob("*") if path.is_file()}
    assert {"weights.safetensors", "state.safetensors", "confusion.png", "trainer.log"} <= modes.keys()
    assert {name: mode for name, mode in modes.items() if mode != "0o640"} == {}


def test_evaluate_gives_what_the_training_reported(trained: Path, data: Path, tmp_path: Path) -> None:
    said = reported(trained, IMAGES)
    found = evaluate(trained / "weights.safetensors", data, QUIET, output=tmp_path / "files", least_score=0.5)
    assert said["ap50"] > 0
    assert {name: found[name] for name in said} == pytest.approx(said, abs=1e-6)
    for name in FILES:  # the training left the same
        assert (tmp_path / "files" / name).read_bytes() == (trained / name).read_bytes()
    with (trained / "per_class.csv").open() as stream:
        by_class = {row["class"]: float(row["AP"]) for row in csv.DictReader(stream)}
    assert by_class == pytest.approx({name: said[f"ap/{name}"] for name in by_class}, abs=1e-6)


def test_what_predict_writes_has_the_same_ap_by_pycocotools_alone(trained: Path, data: Path, tmp_path: Path) -> None:
    """At the score 0, so that all detections are there."""
    pictures = sorted((data / "images").glob("val_*"))
    predict(trained / "weights.safetensors", pictures, tmp_path, least_score=0.0, console=QUIET)
    with redirect_stdout(io.StringIO()):
        truth = COCO(data / "val.json")
        ids = {Path(image["file_name"]).name: number for number, image in truth.imgs.items()}
        written = json.loads((tmp_path / DETECTIONS_FILE).read_text())
        theirs = {image["id"]: ids[Path(image["file_name"]).name] for image in written["images"]}
        categories = {entry["name"]: entry["id"] for entry in truth.dataset["categories"]}
        ours = {entry["id"]: categories[entry["name"]] for entry in written["categories"]}
        rows = [
            {**entry, "image_id": theirs[entry["image_id"]], "category_id": ours[entry["category_id"]]}
            for entry in written["annotations"]
        ]
        evaluation = COCOeval(truth, truth.loadRes(rows), iouType="bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    said = reported(trained, IMAGES)
    names = ("ap", "ap50", "ap75")
    assert evaluation.stats[:3].tolist() == pytest.approx([said[name] for name in names], abs=1e-4)


def test_a_repetition_shows_the_same_and_leaves_the_trainer_alone(best: Path, trained: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in trained.iterdir() if path.name != ".lock"}
    shown = run(best, trained)
    assert f"{reported(trained, IMAGES)['ap']:.3f}" in shown
    assert {path: path.stat().st_mtime_ns for path in trained.iterdir() if path.name != ".lock"} == before


def test_whole_weights_begin_where_they_ended(best: Path, trained: Path) -> None:
    shown = run(best, best.parent / "again", images=4, weights=str(trained / "weights.safetensors"))
    assert "heads included; no stage of the backbone is frozen" in shown
    assert reported(best.parent / "again", 4)["ap50"] > 0.5 * reported(trained, IMAGES)["ap50"]


def test_a_longer_training_goes_on_from_the_last_checkpoint(best: Path, trained: Path) -> None:
    assert images_of_newest(trained) == IMAGES
    weights = (trained / "weights.safetensors").read_bytes()
    tables = (trained / "precision_recall.csv").read_bytes()
    shown = run(best, trained, images=LONGER)
    assert shown.startswith(f"goes on after {IMAGES} of {IMAGES} images under the schedule of {LONGER}: ")
    assert (images_of_newest(trained), json.loads((trained / "training.json").read_text())["images"]) == (
        LONGER,
        LONGER,
    )
    assert weights != (trained / "weights.safetensors").read_bytes()
    assert tables != (trained / "precision_recall.csv").read_bytes()
    assert np.isfinite(reported(trained, LONGER)["ap"])
