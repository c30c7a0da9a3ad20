"""Trial 0 of a study that began from a configuration of another framework."""

import json
import threading
from dataclasses import replace

import pytest

from detector.config import Anchors, Augmentation, Hyperparameters
from search.plan import Plan
from search.report.trial_history import read_trial_history
from search.study.imported_section import ImportedSection
from search.study.specification import specification_from_json, specification_to_json
from search.trainer.link import TrainerLink
from search.trainer.protocol import Start
from search.worker.loop import Worker
from storage.connection.database import Database
from storage.outcomes import read_outcome
from storage.study import create_study, find_study, save_specification
from tests.support.studies import load_optuna_study, varied
from trial.outcome import Outcome

THEIRS = Hyperparameters(
    anchors=Anchors(sizes_px=((9.0, 11.0),) * 5, ratios=(0.3, 1.0, 1.7, 2.0)),  # no level like another: no space has it
    lr_per_16=0.0125,
    warmup_fraction=0.3,  # the space ends at 0.1
    decay_boundaries=(0.5, 0.6, 0.95),
    clip_norm=1e6,
    batch_size=2,  # not among the space's
    augmentation=Augmentation(flip_probability=0.5, scale=0.1),
)


@pytest.fixture
def started(monkeypatch) -> list[Start]:
    """What trainers are told to begin."""
    told: list[Start] = []
    send = TrainerLink.send

    def listen(link: TrainerLink, command: object) -> None:
        if isinstance(command, Start):
            told.append(command)
        send(link, command)  # type: ignore[arg-type]

    monkeypatch.setattr(TrainerLink, "send", listen)
    return told


def imported(plan: Plan, hyperparameters: Hyperparameters, **settings: object) -> Plan:
    section = ImportedSection(file="config.yaml", framework="Detectron2", hyperparameters=hyperparameters)
    detector = replace(plan.specification.detector, micro_batch=None)
    return varied(varied(plan, detector=detector), imported=section, **settings)


def work(database: Database, plan: Plan) -> None:
    study = create_study(database, plan.study)
    save_specification(study, specification_to_json(plan.specification))
    Worker(study, plan, stop=threading.Event()).run()


def test_trial_0_trains_exactly_what_was_imported_and_trial_1_what_the_data_suggests(database, plan, started):
    plan = imported(plan, THEIRS, trials=3, derived={"anchor_base": 3.0})
    work(database, plan)
    assert [start.trial for start in started] == [0, 1, 2]
    assert started[0].hyperparameters == THEIRS
    assert started[1].hyperparameters.anchors.sizes_px[0][0] == 12.0  # 3 strides of 4 px
    assert plan.specification.micro_batch == 2  # of 2, 4, 8 and 16
    assert plan.specification.anchors_per_cell >= THEIRS.anchors.per_cell


def test_every_reader_of_the_study_is_told_the_same(database, plan):
    plan = imported(plan, THEIRS, trials=1)
    work(database, plan)
    study = find_study(database, plan.study)
    record = read_trial_history(study, plan.specification).record(0)
    assert record.hyperparameters == THEIRS
    assert record.point["warmup_fraction"] == 0.3
    assert record.point["batch_size"] == 2
    assert load_optuna_study(database, plan.study).trials[0].params["warmup_fraction"] == 0.1  # where the space ends


def test_one_that_diverges_is_trained_until_it_does(database, plan):
    rate = 2.0  # the analytic trainer explodes from an effective rate of 0.1 on
    plan = imported(plan, Hyperparameters(lr_per_16=rate), trials=2)
    work(database, plan)
    outcome = read_outcome(find_study(database, plan.study), 0)
    assert outcome is not None
    assert outcome.outcome is Outcome.DIVERGED
    assert outcome.evidence["effective_rate"] == pytest.approx(rate)  # at a momentum of 0.9


def test_what_was_imported_is_kept_with_the_study_word_for_word(plan):
    specification = imported(plan, THEIRS).specification
    stored = json.loads(json.dumps(specification_to_json(specification)))
    assert specification_from_json(stored, storage=specification.storage) == specification


def test_a_trial_that_somebody_enqueued_first_is_theirs_and_not_the_imported_one(plan):
    specification = imported(plan, THEIRS).specification
    point = plan.space.reference()
    assert specification.hyperparameters(0, specification.first_point) == THEIRS
    assert specification.hyperparameters(0, point) == plan.space.configuration(point)
    assert specification.hyperparameters(1, specification.first_point) != THEIRS


def test_the_derived_trial_is_trained_although_the_imported_one_is_near_it(plan):
    near = imported(plan, THEIRS)
    point = near.specification.first_point
    both = varied(near, derived=point)
    assert both.first_points == (point, point)  # the first stands for theirs
    exact = imported(plan, plan.space.configuration(plan.space.reference()), derived=plan.space.reference())
    assert len(exact.first_points) == 1
