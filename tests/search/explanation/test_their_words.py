"""A trial 0 that came from another framework's file is explained in its keys."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from detector.config import Hyperparameters
from search.explanation.cause import diagnose
from search.explanation.explanation_text import print_explanation
from search.explanation.page import render_trial
from search.explanation.repair_choice import repaired, repairs
from search.explanation.trial_explanation import TrialExplanation, explain_trial
from search.study.imported_section import ImportedKey, ImportedSection
from storage.connection.database import Database
from storage.study import find_study
from tests.support.planting import diverged, healthy, plant, planted_specification

#: Beyond the space: a batch of 2, a warm-up of 0.3. The rate is 0.25 for 2 images.
THEIRS = Hyperparameters(lr_per_16=2.0, batch_size=2, warmup_fraction=0.3, decay_boundaries=(0.5,), clip_norm=1e6)
FOUND = "error rate-for-more-gpus: SOLVER.BASE_LR is 0.25 for batches of 2 images; write 0.0025"
SECTION = ImportedSection(
    file="config.yaml",
    framework="Detectron2",
    hyperparameters=THEIRS,
    findings=(FOUND,),
    keys={
        "lr_per_16": ImportedKey(key="SOLVER.BASE_LR", line=12, value="0.25"),
        "anchor_base": ImportedKey(key="MODEL.ANCHOR_GENERATOR.SIZES", value="[[32], …]"),
    },
)


@pytest.fixture
def explained(tmp_path: Path, sample: Path) -> TrialExplanation:
    """Trial 0 diverged, and so did none of the others."""
    url = f"sqlite:///{tmp_path / 'study.db'}"
    specification = replace(planted_specification(url, sample, space={"optimizer": "sgd"}), imported=SECTION)
    own = specification.first_point
    first = replace(diverged(own["lr_per_16"]), values=own)
    with Database.open(url) as database:
        history = plant(database, specification, [first, healthy(0.01)])
        return explain_trial(find_study(database, specification.name), history, 0)


def test_the_change_stands_in_their_key_line_and_unit(explained):
    assert explained.theirs is not None
    assert explained.repair is not None
    assert explained.repair.parameter == "lr_per_16"
    assert explained.repair.before == 2.0  # the rate that was trained, not the end of the space
    change = explained.theirs.changes[0]
    assert (change.key, change.line, change.before) == ("SOLVER.BASE_LR", 12, "0.25")
    after = float(explained.repair.after or 0)
    assert float(change.after) == pytest.approx(0.25 * after / 2.0, rel=0.01)
    assert change.instruction == f"set SOLVER.BASE_LR (line 12) from 0.25 to {change.after}"


def test_text_json_and_page_say_it(explained, capsys):
    from search.terminal import PlainConsole

    print_explanation(explained, PlainConsole())
    said = " ".join(capsys.readouterr().out.split())
    assert "in config.yaml (Detectron2): set SOLVER.BASE_LR (line 12) from 0.25" in said
    assert f"- {FOUND}" in said
    document = json.loads(json.dumps(explained.to_json()))
    assert document["from"]["changes"][0]["key"] == "SOLVER.BASE_LR"
    assert "SOLVER.BASE_LR (line 12)" in render_trial(explained, [], [])


def test_the_repaired_configuration_is_theirs_but_for_the_repair(tmp_path, sample):
    url = f"sqlite:///{tmp_path / 'study.db'}"
    specification = replace(planted_specification(url, sample, space={"optimizer": "sgd"}), imported=SECTION)
    first = replace(diverged(0.1), values=specification.first_point)
    with Database.open(url) as database:
        history = plant(database, specification, [first, healthy(0.01)])
    record = history.record(0)
    entry = diagnose(record, others_are_healthy=True)
    assert entry is not None
    repair = repairs(record, history, entry, None)[0]
    mended = repaired(record, history, repair)
    assert mended == replace(THEIRS, lr_per_16=mended.lr_per_16)
    assert mended.lr_per_16 == repair.after


def test_other_trials_have_no_file_of_theirs(tmp_path, sample):
    url = f"sqlite:///{tmp_path / 'study.db'}"
    specification = replace(planted_specification(url, sample, space={"optimizer": "sgd"}), imported=SECTION)
    first = replace(healthy(0.1), values=specification.first_point)
    with Database.open(url) as database:
        history = plant(database, specification, [first, diverged(0.09)])
        assert explain_trial(find_study(database, specification.name), history, 1).theirs is None
