from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.config import Canvas, Detector, Precision
from detector.data_source import DataFormat, DataSource
from search.study.budget import Budget, automatic_images
from search.study.data_section import Data, Split
from search.study.document import StudyFileError, parse_document
from search.study.policy_section import PrunerName
from search.study.specification import Specification, resolved, specification_from_json, specification_to_json
from search.study.study_file import Options, default_study_text, load_study_file, with_options
from search.study.study_text import COMMENTS, study_text
from spaces.faster_rcnn import Space
from spaces.parameters import Categorical, Fixed, Float


@pytest.fixture
def load(tmp_path):
    def write_and_load(text):
        path = tmp_path / "study.yaml"
        path.write_text(text)
        return load_study_file(path)

    return write_and_load


def test_everything_but_the_data_has_a_default(load, tmp_path):
    specification = load("data: {folder: cells}\n")
    assert specification == Specification(
        name="study", storage=f"sqlite:///{tmp_path}/study.db", data=Data(folder=tmp_path / "cells")
    )
    assert specification.space == Space.default()
    assert specification.trials == 30
    assert specification.micro_batch == 4  # of batches of 4, 8 and 16


def test_the_default_text_shows_every_default_and_reads_back_as_them(load, tmp_path):
    text = default_study_text({"folder": str(tmp_path / "data")}, Options(name="cells"))
    assert load(text) == load(f"name: cells\ndata: {{folder: {tmp_path}/data}}")
    document = parse_document(text, "text")
    assert set(document["space"]) == set(Space.default().parameters)
    assert set(document) == {field.name for field in fields(Specification)} - {"trainer", "imported"}


def test_every_key_of_a_study_file_has_a_comment(tmp_path):
    specification = Specification(name="a", storage="sqlite:///a.db", data=Data(folder=tmp_path))
    keys = []
    for field in fields(Specification):
        section = getattr(specification, field.name)
        if not is_dataclass(section):
            keys.append(field.name)
        elif field.name != "space":
            keys += [f"{field.name}.{key.name}" for key in fields(section)]
    assert sorted(COMMENTS) == sorted(set(keys) - {"trainer"})


def test_options_of_the_default_text_are_shown_in_it(load, tmp_path):
    text = default_study_text({"folder": str(tmp_path)}, Options(weights="imagenet", canvas="64x96", trials=5))
    assert "  weights: imagenet  #" in text
    assert load(text).detector.canvas == Canvas(height_px=64, width_px=96)
    assert load(text).budget.trials == 5


@pytest.mark.parametrize(
    "folder",
    ["with space", "true", "1.5", "a: b", "#x", "quote\"'", "ünïcode", "- a", "~", "[a", "\U0001f600", "a\x85b"],
)
def test_any_folder_name_survives_the_text(load, tmp_path, folder):
    assert load(default_study_text({"folder": str(tmp_path / folder)}, Options())).data.folder == tmp_path / folder
    relative = load(default_study_text({"folder": str(Path(folder))}, Options())).data.folder
    assert relative == (Path.home() if folder == "~" else tmp_path / folder)


def test_a_full_file_is_read_as_it_is_written(load, tmp_path):
    specification = load("""
        name: aerial
        storage: postgresql://me@db/studies
        data:
          train: {images: images/train, annotations: train.json}
          validation: {images: /other, annotations: xml, split: val.txt, format: voc}
        detector:
          {weights: start.h5, canvas: [256, 320], precision: bfloat16, frozen_stages: 0, micro_batch: 2, proposals: 300}
        space:
          lr_per_16: 1e-3
          momentum: {high: 0.95}
          batch_size: [2, 4]
        budget: {trials: 12, images: 1000, rungs: [100, 300], validation_images: 50}
        sampler: {name: random, seed: 3, startup_trials: 0}
        pruner: {name: hyperband, reduction_factor: 2}
        watch: {enabled: false}
        workers: 2
        """)
    assert specification.data.train.source() == DataSource(
        format=DataFormat.COCO, images=tmp_path / "images/train", annotations=tmp_path / "train.json"
    )
    assert specification.data.validation.source() == DataSource(
        format=DataFormat.VOC, images=Path("/other"), annotations=tmp_path / "xml", split=tmp_path / "val.txt"
    )
    assert specification.detector.detector() == Detector(
        canvas=Canvas(height_px=256, width_px=320),
        weights=str(tmp_path / "start.h5"),
        precision=Precision.BFLOAT16,
        frozen_stages=0,
        micro_batch=2,
        proposals=300,
    )
    assert specification.space.parameters["lr_per_16"] == Fixed(value=0.001)  # 1e-3 is a number here
    assert specification.space.parameters["momentum"] == Float(low=0.8, high=0.95)
    assert specification.space.parameters["batch_size"] == Categorical(values=(2, 4))
    assert specification.rungs == (100, 300, 1000)
    assert specification.pruner.name is PrunerName.HYPERBAND
    assert specification.storage == "postgresql://me@db/studies"
    assert (specification.workers, specification.watch.enabled) == (2, False)


def test_a_section_whose_lines_are_all_comments_has_its_defaults(load):
    assert load("data: {folder: a}\nspace:\n  # momentum: 0.9\nbudget:\n") == load("data: {folder: a}")


def test_aliases_merge_keys_and_words_of_yaml_1_1_are_plain(load):
    specification = load("""
        data:
          train: &split {images: "on", annotations: no.json}
          validation: {<<: *split, annotations: 2020-01-01}
        """)
    assert specification.data.validation.images.name == "on"
    assert specification.data.validation.annotations.name == "2020-01-01"


def test_a_specification_survives_the_database_without_its_storage(load):
    specification = load("""
        data: {train: {images: a, annotations: b}}
        storage: postgresql://u:canary@h/d
        detector: {canvas: 96x128}
        space: {anchors: {sizes_px: [32, 64], ratios: [1]}, momentum: 0.9}
        budget: {images: 500, rungs: [50]}
        """)
    stored = specification_to_json(specification)
    assert "canary" not in str(stored) + repr(specification)
    assert stored["budget"]["trials"] == "auto"
    assert specification_from_json(stored, storage=specification.storage) == specification


def test_a_stored_specification_of_another_version_is_refused(load):
    stored = specification_to_json(load("data: {folder: a}")) | {"fancy": 1}
    with pytest.raises(StudyFileError, match="the stored study: fancy: there is no such key"):
        specification_from_json(stored, storage="sqlite:///a.db")


def test_a_specification_survives_its_own_text(load):
    specification = load("""
        data: {train: {images: a, annotations: b}, validation: {images: c, annotations: d, format: coco}}
        detector: {canvas: 96x128, frozen_stages: 3}
        space: {anchors: {sizes_px: [32, 64], ratios: [1]}, momentum: 0.9, augmentation_hue: [0, 0.1]}
        budget: {images: 500, rungs: 2, validation_images: 9}
        trainer: analytic
        """)
    assert load(study_text(specification)) == specification


def test_options_stand_over_the_file(load, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    specification = load("data: {folder: a}\nbudget: {trials: 3, images: 100}\n")
    changed = with_options(specification, Options(trials=7, canvas="64x64", storage="sqlite:///b.db", seed=5))
    assert changed.budget == Budget(trials=7, images=100)
    assert changed.detector.canvas == Canvas(height_px=64, width_px=64)
    assert changed.storage == f"sqlite:///{tmp_path}/b.db"
    assert (changed.workers, changed.sampler.seed) == (1, 5)
    assert with_options(specification, Options()) == specification


def test_a_bad_option_is_named_as_the_option_it_is(load):
    specification = load("data: {folder: a}\nbudget: {images: 1000, rungs: [100, 500]}\n")
    with pytest.raises(StudyFileError, match=r"with --trials: budget\.trials: must be at least 1, but is 0"):
        with_options(specification, Options(trials=0))
    with pytest.raises(StudyFileError, match=r"with --images: budget\.rungs must not exceed"):
        with_options(specification, Options(images=300))


def test_every_option_stands_over_a_key_of_the_study_file(load, tmp_path):
    options = {"name": "b", "storage": "sqlite:////b.db", "workers": 2, "trials": 3, "images": 960, "seed": 5}
    options |= {"canvas": "64x96", "weights": "/w.h5", "trainings": 2.5, "backbone": "resnet18"}
    assert set(options) == {field.name for field in fields(Options)}
    before = load("data: {folder: a}")
    changed = [with_options(before, Options(**{option: value})) for option, value in options.items()]
    assert all(after != before for after in changed)


def test_an_automatic_canvas_and_budget_come_from_the_data(load):
    specification = load("data: {folder: a}\ndetector: {long_side_px: 320}\n")
    result = resolved(specification, training_images=100, sizes_px=[(480, 640)] * 3)
    assert result.detector.canvas == Canvas(height_px=256, width_px=320)  # 320 · 3/4 = 240, which is 7.5 · 32
    assert result.budget.images == 1200  # 12 · 100, a multiple of 48
    assert result.rungs == (96, 300, 1200)
    assert resolved(result, training_images=9, sizes_px=[(9, 9)]) == result  # what is set stays


@pytest.mark.parametrize(
    ("training_images", "images"),
    [
        pytest.param(3, 960, id="at least 960"),
        pytest.param(81, 1008, id="12 · 81 = 972, and 21 · 48 = 1008"),
        pytest.param(1000, 12_000, id="12 epochs"),
        pytest.param(100_000, 24_000, id="at most 24,000"),
    ],
)
def test_the_automatic_budget_is_12_epochs_within_bounds(training_images, images):
    assert automatic_images(training_images) == images


@pytest.mark.parametrize(
    ("budget", "factor", "rungs"),
    [
        pytest.param(Budget(images=900), 3, (100, 300, 900), id="1/9 = 11 % is late enough, 1/27 is not"),
        pytest.param(Budget(images=800), 2, (100, 200, 400, 800), id="1/8 = 12.5 %"),
        pytest.param(Budget(images=800, rungs=2), 2, (400, 800), id="as many as asked for"),
        pytest.param(Budget(images=800, rungs=1), 3, (800,), id="the budget alone"),
        pytest.param(Budget(images=1000, rungs=(80, 500)), 3, (80, 500, 1000), id="the budget is added"),
        pytest.param(Budget(images=1000, rungs=(80, 1000)), 3, (80, 1000), id="the budget is there"),
        pytest.param(Budget(images=2), 3, (1, 2), id="rungs that round to the same image are one"),
    ],
)
def test_rungs_are_shares_of_the_budget_or_as_listed(budget, factor, rungs):
    assert budget.rung_images(factor) == rungs


@pytest.mark.parametrize(
    ("images", "factor", "rungs"),
    [
        pytest.param(6000, 4, (480, 1500, 6000), id="8 %, a quarter, and all"),
        pytest.param(1000, 4, (96, 250, 1000), id="8 % are too early"),
        pytest.param(720, 4, (120, 720), id="a sixth of a small one"),
        pytest.param(300, 4, (96, 300), id="a sixth is too early"),
        pytest.param(150, 4, (150,), id="96 are too near to the end"),
        pytest.param(6000, 3, (667, 2000, 6000), id="8 % are too near to a ninth"),
    ],
)
def test_trials_pause_at_8_percent_and_a_quarter_but_once_in_small_budgets_and_never_before_96_images(
    images, factor, rungs
):
    assert Budget(images=images).rung_images(factor, pauses=True) == rungs


@settings(deadline=None)
@given(st.integers(1, 10**6), st.integers(2, 20), st.booleans())
def test_rungs_always_increase_to_the_budget(images, factor, pauses):
    rungs = Budget(images=images).rung_images(factor, pauses=pauses)
    assert list(rungs) == sorted(set(rungs))
    assert rungs[-1] == images
    assert rungs[0] >= min(images, round(0.08 * images))


def test_the_format_of_a_split_follows_from_its_annotations():
    assert Split(images=Path("a"), annotations=Path("b.JSON")).source().format is DataFormat.COCO
    assert Split(images=Path("a"), annotations=Path("b")).source().format is DataFormat.VOC


@pytest.mark.parametrize(
    ("line", "derived"),
    [("", None), ("derived: auto", None), ("derived: none", {}), ("derived: {anchor_base: 4}", {"anchor_base": 4})],
)
def test_what_trial_1_has_may_be_left_to_the_data_or_given(load, line, derived):
    specification = load(f"data: {{folder: cells}}\n{line}\n")
    assert specification.derived == derived
    assert load(study_text(specification)) == specification


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("derived: {anchor_bass: 4}", "derived.anchor_bass is no parameter"),
        ("derived: {anchor_base: 40}", "derived.anchor_base must be in"),
    ],
)
def test_what_trial_1_has_must_lie_in_the_space(load, line, message):
    with pytest.raises(StudyFileError, match=message):
        load(f"data: {{folder: cells}}\n{line}\n")
