"""What a launch's command line said holds in later launches, until the study file changes there."""

import io
from dataclasses import replace
from pathlib import Path

import pytest

from detector.config import BackboneName, Canvas, ConfigError
from search.launch.compatibility import agree
from search.launch.launching import only_create
from search.launch.overrides import ATTRIBUTE, Overridden, over_file
from search.study.policy_section import Pruner, PrunerName, Sampler, SamplerName
from search.study.study_file import Options, load_study_file
from search.terminal import PlainConsole
from storage.connection.database import Database
from storage.study import create_study, find_study
from tests.support.studies import load_optuna_study

FILE = """
name: cells
trainer: analytic
data: {{train: {{images: ., annotations: train.json}}}}
detector: {{canvas: {canvas}}}
budget: {{trials: {trials}, images: 1440}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "cells.yaml"


def write(file: Path, *, trials: int = 30, canvas: str = "128x128") -> None:
    file.write_text(FILE.format(trials=trials, canvas=canvas))


def create(file: Path, **options: object) -> Overridden:
    """As `launch --only-create` with these options."""
    launched = over_file(load_study_file(file), Options(**options))
    console = PlainConsole(file=io.StringIO())
    only_create(launched.specification, folder=file.parent, console=console, overrides=launched.overrides)
    return launched


def test_a_second_launch_without_options_goes_on_as_the_first(file):
    write(file)
    create(file, trials=16, canvas="96x128", backbone="resnet18", seed=3)
    again = create(file)
    assert again.specification.budget.trials == 16
    assert again.specification.detector.canvas == Canvas(height_px=96, width_px=128)
    assert again.specification.detector.backbone is BackboneName.RESNET18
    assert set(again.recalled) == {"--trials 16", "--canvas 96x128", "--backbone resnet18", "--seed 3"}
    assert create(file).recalled == again.recalled


def test_an_option_that_is_given_again_has_the_last_word(file):
    write(file)
    create(file, trials=16, seed=3)
    more = create(file, trials=20)
    assert (more.specification.budget.trials, more.recalled) == (20, ("--seed 3",))
    assert create(file).specification.budget.trials == 20


def test_who_edits_the_file_has_the_last_word(file):
    write(file)
    create(file, trials=16)
    write(file, trials=40)
    assert create(file).specification.budget.trials == 40
    write(file)  # back to what it said when the option stood over it: that is over
    assert create(file).specification.trials == 30


def test_an_option_that_says_what_the_file_says_is_no_override(file):
    write(file)
    launched = create(file, trials=30)
    assert launched.overrides == {}
    write(file, trials=31)
    assert create(file).specification.budget.trials == 31


def test_what_a_study_cannot_survive_is_refused_although_an_option_says_it(file):
    write(file)
    create(file)
    with Database.open(load_study_file(file).storage) as database:
        load_optuna_study(database, "cells").enqueue_trial({})  # it is no longer blank
    with pytest.raises(ConfigError, match=r"detector\.canvas: 128x128 was stored, 96x128 is wanted"):
        create(file, canvas="96x128")


def test_a_canvas_that_the_file_leaves_open_stays_that_of_the_study_on_other_machines(file):
    write(file, canvas="96x128")
    create(file)
    with Database.open(load_study_file(file).storage) as database:
        load_optuna_study(database, "cells").enqueue_trial({})
    write(file, canvas="auto")
    launched = over_file(load_study_file(file), Options())
    assert launched.specification.detector.canvas == Canvas(height_px=96, width_px=128)
    assert launched.recalled == ()


def test_a_study_that_was_begun_by_other_defaults_keeps_its_sampler_and_pruner(file):
    write(file)
    before = load_study_file(file)
    before = replace(before, sampler=Sampler(name=SamplerName.TPE), pruner=Pruner(name=PrunerName.HALVING))
    with Database.open(before.storage) as database:
        agree(create_study(database, before.name), before)
        load_optuna_study(database, "cells").enqueue_trial({})
    launched = over_file(load_study_file(file), Options())
    assert launched.specification.sampler.name is SamplerName.TPE
    assert launched.specification.pruner.name is PrunerName.HALVING
    assert launched.defaults_of_then == ("sampler.name tpe", "pruner.name halving")
    assert launched.recalled == ()


def test_a_database_is_not_made_by_looking_for_earlier_launches(file):
    write(file)
    assert over_file(load_study_file(file), Options(trials=3)).specification.budget.trials == 3
    assert not (file.parent / "cells.db").exists()
    other = replace(load_study_file(file), name="ships")
    create(file)
    assert over_file(other, Options()).overrides == {}


def test_an_attribute_of_somebody_else_is_none_of_ours(file):
    write(file)
    create(file, trials=16)
    with Database.open(load_study_file(file).storage) as database:
        study = find_study(database, "cells")
        database.optuna.set_study_user_attr(study.id, ATTRIBUTE, {"trials": [1, 2]})
    assert over_file(load_study_file(file), Options()).specification.trials == 30
