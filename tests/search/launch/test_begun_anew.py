"""A study begins only if it can work, and one of which nothing would be lost is begun anew."""

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest

from detector.config import ConfigError
from detector.data.sample_data import write_sample
from search.launch.launching import launch, only_create
from search.study.specification import Specification, specification_from
from search.terminal import PlainConsole
from spaces.parameters import Fixed
from storage.connection.database import Database
from storage.outcomes import read_outcomes, record_outcome
from storage.study import StoredStudy, find_study, study_names
from storage.telemetry import record_rung
from storage.workers import seen
from tests.support.studies import load_optuna_study
from trial.outcome import Outcome
from trial.reports import RungReport
from trial.verdict import Verdict

NARROW = {"anchor_scales": 1, "anchor_ratios": 1}


@pytest.fixture
def specification(tmp_path: Path) -> Specification:
    data = {"train": {"images": str(tmp_path), "annotations": str(tmp_path / "train.json")}}
    document = {
        "name": "analytic",
        "storage": f"sqlite:///{tmp_path / 'study.db'}",
        "trainer": "analytic",
        "data": data,
    }
    settings = {"detector": {"canvas": "128x128"}, "budget": {"trials": 8, "images": 1440}, "sampler": {"seed": 7}}
    return specification_from(document | settings, "this test")


@pytest.fixture
def console() -> PlainConsole:
    return PlainConsole(file=io.StringIO(), width=400)


def text_of(console: PlainConsole) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def sample_document(tmp_path: Path, **sections: Any) -> dict[str, Any]:
    folder = tmp_path / "sample"
    write_sample(folder, train=20, validation=8)
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    return {"name": "sample", "storage": storage, "data": {"folder": str(folder)}, **sections}


def load_trials(specification: Specification) -> list[optuna.trial.FrozenTrial]:
    with Database.open(specification.storage) as database:
        return load_optuna_study(database, specification.name).get_trials(deepcopy=False)


def _ended(outcome: Outcome) -> Callable[[StoredStudy, optuna.Study], None]:
    def leave(stored: StoredStudy, study: optuna.Study) -> None:
        record_outcome(stored, study.ask().number, Verdict(outcome=outcome))

    return leave


def _rung(stored: StoredStudy, study: optuna.Study) -> None:
    report = RungReport(step=1, images=160, ap=0.1, metrics={}, training_s=1.0, evaluation_s=1.0)
    record_rung(stored, study.ask().number, report)


def _worker(stored: StoredStudy, study: optuna.Study) -> None:
    seen(stored, "a worker", host="here", pid=1, device="none", trial=None, images=0, images_per_s=0.0)


def _waiting(stored: StoredStudy, study: optuna.Study) -> None:
    study.enqueue_trial({"momentum": 0.9})


@pytest.mark.parametrize(
    ("leave", "is_replaced"),
    [
        pytest.param(lambda stored, study: None, True, id="nothing"),
        pytest.param(lambda stored, study: study.ask(), True, id="a trial that never began"),
        pytest.param(_ended(Outcome.BAD_DATA), True, id="an image that could not be decoded"),
        pytest.param(_ended(Outcome.CRASHED), True, id="a trainer that could not start"),
        pytest.param(_ended(Outcome.HOPELESS), True, id="a refused proposal"),
        pytest.param(_ended(Outcome.DIVERGED), False, id="a diverged trial"),
        pytest.param(_ended(Outcome.COMPLETE), False, id="a whole trial"),
        pytest.param(_ended(Outcome.ENDED_ELSEWHERE), False, id="what somebody told"),
        pytest.param(_rung, False, id="a rung"),
        pytest.param(_waiting, False, id="what somebody enqueued"),
        pytest.param(_worker, False, id="a worker"),
    ],
)
def test_a_study_of_other_settings_is_begun_anew_unless_something_would_be_lost(
    specification: Specification,
    tmp_path: Path,
    console: PlainConsole,
    leave: Callable[[StoredStudy, optuna.Study], object],
    is_replaced: bool,
) -> None:
    assert only_create(specification, folder=tmp_path, console=console) == 0
    with Database.open(specification.storage) as database:
        leave(find_study(database, "analytic"), load_optuna_study(database, "analytic"))
    other = replace(specification, sampler=replace(specification.sampler, seed=8))
    if is_replaced:
        assert only_create(other, folder=tmp_path, console=console) == 0
        assert "had no trained trial: it begins anew" in text_of(console)
        assert load_trials(specification) == []
        with Database.open(specification.storage) as database:
            assert read_outcomes(find_study(database, "analytic")) == []
    else:
        with pytest.raises(ConfigError, match=r"sampler\.seed: 7 was stored, 8 is wanted"):
            only_create(other, folder=tmp_path, console=console)


def test_who_obeys_the_message_on_a_broken_image_goes_on_with_the_same_command(
    tmp_path: Path, console: PlainConsole
) -> None:
    specification = specification_from(sample_document(tmp_path), "this test")
    assert only_create(specification, folder=tmp_path, console=console) == 0  # as an older version, which looked later
    annotations = json.loads((tmp_path / "sample" / "train.json").read_text())
    broken = tmp_path / "sample" / "images" / annotations["images"].pop(0)["file_name"]
    kept = {image["id"] for image in annotations["images"]}
    annotations["annotations"] = [box for box in annotations["annotations"] if box["image_id"] in kept]
    broken.unlink()
    (tmp_path / "sample" / "train.json").write_text(json.dumps(annotations))
    assert only_create(specification, folder=tmp_path, console=console) == 0
    assert "it begins anew" in text_of(console)


def test_a_study_that_would_begin_anew_is_examined_first(tmp_path: Path, console: PlainConsole) -> None:
    document = sample_document(tmp_path, space=NARROW, detector={"canvas": "64x96"})
    assert only_create(specification_from(document, "this test"), folder=tmp_path, console=console) == 0
    worse = specification_from({**document, "space": {**NARROW, "lr_per_16": 0.9}}, "this test")
    with pytest.raises(ConfigError, match="learning-rate-hopeless"):
        only_create(worse, folder=tmp_path, console=console)
    assert only_create(specification_from(document, "this test"), folder=tmp_path, console=console) == 0  # it stayed
    assert "it begins anew" not in text_of(console)


def test_what_is_done_with_bad_images_may_change_while_none_is_bad(tmp_path: Path, console: PlainConsole) -> None:
    document = sample_document(tmp_path)
    for settings in ({}, {"on_bad_image": "skip"}, {"on_bad_image": "skip", "most_bad_share": 0.2}):
        specification = specification_from({**document, "data": document["data"] | settings}, "this test")
        assert only_create(specification, folder=tmp_path, console=console) == 0
    assert "it begins anew" not in text_of(console)


def test_the_doctor_s_errors_stop_a_new_study_unless_it_is_begun_despite_them(
    tmp_path: Path, console: PlainConsole
) -> None:
    document = sample_document(tmp_path, space={**NARROW, "lr_per_16": 0.9}, detector={"canvas": "64x96"})
    specification = specification_from(document, "this test")
    with pytest.raises(ConfigError, match="learning-rate-hopeless; mend that, or launch with --despite-errors"):
        only_create(specification, folder=tmp_path, console=console)
    assert "error   learning-rate-hopeless" in text_of(console)
    with Database.open(specification.storage) as database:
        assert study_names(database) == []
    assert only_create(specification, folder=tmp_path, console=console, despite_errors=True) == 0


def test_the_three_worst_warnings_are_shown_and_the_rest_counted(tmp_path: Path, console: PlainConsole) -> None:
    space = {**NARROW, "lr_per_16": 1e-5, "batch_size": 64}
    document = sample_document(tmp_path, space=space, budget={"images": 16}, detector={"canvas": "64x320"})
    assert only_create(specification_from(document, "this test"), folder=tmp_path, console=console) == 0
    shown = text_of(console)
    assert shown.count("warning ") == 3
    assert "more warnings; all of them: frcnn-search doctor study.yaml" in shown


@pytest.mark.parametrize(
    ("values", "code", "said"),
    [
        ({"lr_per_16": 0.01}, 0, "next: frcnn-search export 'my study.yaml' --output best.yaml"),
        ({"lr_per_16": 1.9}, 2, "no trial is of use; what to change: frcnn-search explain 'my study.yaml'"),
    ],
)
def test_the_end_says_what_is_next(
    specification: Specification, tmp_path: Path, console: PlainConsole, values: dict[str, float], code: int, said: str
) -> None:
    fixed = {name: Fixed(value=value) for name, value in values.items()}
    one = replace(
        specification,
        space=specification.space.replaced(fixed),
        budget=replace(specification.budget, trials=1),
        derived={},
    )
    assert launch(one, folder=tmp_path, console=console, study_file=Path("my study.yaml")) == code
    assert said in text_of(console)
