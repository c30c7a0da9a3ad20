"""A full training looks at its data first: the configuration's classes, and whether it is what the search had."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from detector.config import ConfigError
from search.export.configuration_file import read_configuration
from search.training.data_agreement import change_of_data, load_agreeing
from tests.search.training.conftest import Run


@pytest.fixture
def other(sample: Path, tmp_path: Path) -> Path:
    """A copy of the sample whose annotations a test may change."""
    shutil.copytree(sample, tmp_path / "other")
    return tmp_path / "other"


def change_categories(folder: Path, change: Any) -> None:
    for file in (folder / "train.json", folder / "val.json"):
        document = json.loads(file.read_text())
        document["categories"] = change(document["categories"])
        file.write_text(json.dumps(document))


def test_the_data_of_the_search_agrees_and_nothing_is_said(configuration: Path) -> None:
    read = read_configuration(configuration)
    train, validation = load_agreeing(read, None)
    assert (len(train.images), len(validation.images)) == (6, 3)
    assert change_of_data(read, train) is None


def test_another_name_is_refused_before_a_trainer_starts_with_both_lists_and_the_way_out(
    configuration: Path, other: Path, tmp_path: Path, run: Run
) -> None:
    change_categories(other, lambda known: [{**each, "name": each["name"].replace("disc", "ring")} for each in known])
    with pytest.raises(ConfigError) as refusal:
        run(configuration, tmp_path / "trained", data=other)
    for expected in (
        "but are others",
        '["disc", "square", "triangle"] in the configuration',
        '["ring", "square", "triangle"] in the data',
        "by --data",
        'write `classes: ["ring", "square", "triangle"]` into the configuration',
    ):
        assert expected in str(refusal.value)
    assert not (tmp_path / "trained" / "trainer.log").exists()


def test_another_order_is_refused_as_such_and_the_line_that_the_message_names_helps(
    configuration: Path, other: Path, tmp_path: Path, run: Run
) -> None:
    change_categories(
        other,
        lambda known: [{**each, "name": other["name"]} for each, other in zip(known, known[::-1], strict=True)],
    )
    with pytest.raises(ConfigError, match=r"but are the same in another order") as refusal:
        run(configuration, tmp_path / "trained", data=other)
    line = str(refusal.value).split("`")[1]
    document = yaml.safe_load(configuration.read_text())
    configuration.write_text(yaml.safe_dump({**document, **yaml.safe_load(line)}))
    assert run(configuration, tmp_path / "trained", data=other)[0] == 0


def test_data_that_changed_since_the_search_is_told_in_one_line_and_trained_on(
    configuration: Path, tmp_path: Path, run: Run
) -> None:
    text = configuration.read_text()
    then = read_configuration(configuration).provenance.dataset_fingerprint
    configuration.write_text(text.replace(then, "f" * 64))
    code, shown = run(configuration, tmp_path / "trained")
    assert code == 0
    told = [line for line in shown.splitlines() if "has changed" in line]
    assert told == [
        f"the data has changed since the search (fingerprint {then[:12]}, then ffffffffffff); "
        "what is there now is trained on"
    ]


def test_of_other_data_that_was_asked_for_nothing_is_said(
    configuration: Path, other: Path, tmp_path: Path, run: Run
) -> None:
    document = json.loads((other / "train.json").read_text())
    document["annotations"].pop()
    (other / "train.json").write_text(json.dumps(document))
    code, shown = run(configuration, tmp_path / "trained", data=other)
    assert code == 0
    assert "has changed" not in shown
