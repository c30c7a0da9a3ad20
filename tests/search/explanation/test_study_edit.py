"""Advice on the study file is followed here word for word: what is printed is read, done, and read back."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.weight_files.starting_point import starting_point
from search.explanation.cause import ENDED_BY, diagnose
from search.explanation.neighbour import nearest_healthy
from search.explanation.repair import Area, Repair
from search.explanation.repair_choice import repairs
from search.explanation.study_edit import NewStudy, within_reach
from search.explanation.trial_explanation import explain_trial
from search.launch.continuation import write_continuation
from search.policy.screens.reference_rate import highest_rate
from search.report.trial_history import TrialHistory
from search.study.document import parse_document
from search.study.specification import Specification
from search.study.study_file import load_study_file, study_from
from search.study.study_text import study_text
from spaces.catalogue import DEFINITIONS, RATES
from spaces.faster_rcnn import ANCHOR_PARAMETERS, Space
from spaces.parameters import Categorical, Float, Int, at_share
from spaces.section import parse
from storage.connection.database import Database
from storage.study import find_study
from tests.support.planting import Sown, diverged, healthy, imagine, plant, planted_specification
from trial.outcome import Outcome

FILE = Path("a folder/study.yaml")
OUTCOMES = {str(outcome): outcome for outcome in Outcome}


def followed(steps: tuple[str, ...], text: str) -> tuple[str, list[list[str]]]:
    """The text of a study file after the steps, done as they say, and the commands among them."""
    document, commands = yaml.safe_load(text), []
    for step in steps:
        if step.startswith("frcnn-search "):
            commands.append(shlex.split(step))
        elif found := re.fullmatch(r"in .*study\.yaml, set in the section (\w+):\n(.*)", step, re.DOTALL):
            document[found[1]] = {**(document.get(found[1]) or {}), **yaml.safe_load(found[2])}
        elif found := re.fullmatch(r"in .*study\.yaml, delete from the section space: (.*)", step):
            for name in found[1].split(", "):
                del document["space"][name]
        elif found := re.fullmatch(r"in .*study\.yaml, change its name: `name: (.*)`", step):
            document["name"] = found[1]
        else:
            pytest.fail(f"nobody can follow {step!r}")
    return yaml.safe_dump(document, sort_keys=False), commands


@st.composite
def entries(draw: st.DrawFn, name: str) -> Any:
    """An entry of the section space that a user may write for that parameter."""
    definition = DEFINITIONS[name]
    low, high = definition.limits
    if isinstance(definition.default, Categorical) and isinstance(definition.reference, str):
        return draw(st.sampled_from(["sgd", "adam", ["sgd", "adam"]]))
    whole = isinstance(definition.reference, int)
    numbers = st.integers(int(low), int(min(high, 64))) if whole else st.floats(max(low, 1e-6), min(high, 200.0))
    values = draw(st.lists(numbers, min_size=1, max_size=3, unique=True))
    kind = draw(st.sampled_from(["value", "list", "range"]))
    if kind == "value":
        return values[0]
    if kind == "range" and isinstance(definition.default, Float | Int) and len(values) > 1:
        step = {"step": 1} if isinstance(definition.default, Int) else {}
        return {"low": min(values), "high": max(values), **step}
    return values


NAMES = ("optimizer", *RATES.values(), "rpn_lr_factor", "warmup_fraction", "clip_norm", *ANCHOR_PARAMETERS)


@st.composite
def sections(draw: st.DrawFn) -> dict[str, Any]:
    """A section space."""
    names = draw(st.lists(st.sampled_from(NAMES), unique=True))
    section = {name: draw(entries(name)) for name in names}
    section["batch_size"] = draw(st.sampled_from([4, [4, 8], [2, 4, 16]]))
    if draw(st.booleans()):
        section = {name: entry for name, entry in section.items() if name not in ANCHOR_PARAMETERS}
        section["anchors"] = {"sizes_px": [500], "ratios": [1]}
    return section


def point(space: Space, draw: st.DrawFn) -> dict[str, Any]:
    return {name: at_share(one, draw(st.sampled_from([0.0, 0.3, 0.99]))) for name, one in space.parameters.items()}


def sown(draw: st.DrawFn, space: Space, ended_by: str) -> Sown:
    """A trial that this ended, somewhere in the space."""
    outcome = OUTCOMES.get(ended_by, draw(st.sampled_from([Outcome.DIVERGED, Outcome.NOT_LEARNING])))
    rule = "" if ended_by in OUTCOMES and ended_by != "not learning" else ended_by
    term = draw(st.sampled_from(["loss_rpn_box", "max_objectness", "gradient"]))
    images = draw(st.sampled_from([16, 600]))
    return Sown(outcome=outcome, values=point(space, draw), rule=rule, term=term, images=images)


def specified(data: Path, section: dict[str, Any], **others: Any) -> Specification:
    detector = {"canvas": "96x128", **others.pop("detector", {})}
    return planted_specification("sqlite:///none.db", data, space=section, detector=detector, **others)


def found_in(history: TrialHistory, number: int) -> tuple[Repair, ...]:
    record = history.record(number)
    entry = diagnose(record, others_are_healthy=bool(history.healthy))
    assert entry is not None
    return repairs(record, history, entry, nearest_healthy(record, history))


@pytest.mark.parametrize("ended_by", ENDED_BY)
@pytest.mark.bulk
@settings(max_examples=6, deadline=None)
@given(data=st.data())
def test_each_repair_has_room_in_the_study_or_says_how_to_make_it(sample: Path, ended_by: str, data: Any) -> None:
    section = data.draw(sections())
    space, weights = parse(section), data.draw(st.sampled_from(["none", "imagenet"]))
    others = [Sown(values=point(space, data.draw)) for _ in range(data.draw(st.integers(0, 2)))]
    specification = specified(sample, section, detector={"weights": weights, "precision": "bfloat16"})
    history = imagine(specification, [*others, sown(data.draw, space, ended_by)])
    new_study = NewStudy.after(history, FILE)
    for repair in found_in(history, len(others)):
        steps = new_study.steps(repair.study_edit)
        text, commands = followed(steps, study_text(specification))
        read = study_from(parse_document(text, str(FILE)), FILE)  # the study file is accepted
        outside = [name for name, value in repair.values.items() if not space.parameters[name].contains(value)]
        assert bool(outside) == (repair.area is Area.PARAMETER and repair.study_edit is not None)
        assert bool(outside) == ("outside of the study's space" in repair.reason)
        assert all(read.space.parameters[name].contains(value) for name, value in repair.values.items())
        assert_new(new_study, specification, read, commands) if steps else None
        if repair.parameter in RATES.values():
            optimizer = next(each for each, name in RATES.items() if name == repair.parameter)
            limit = highest_rate(optimizer, start=starting_point(weights), smallest_batch=min(space.batch_sizes()))
            assert isinstance(repair.after, float)
            assert repair.after <= limit * 1.005  # three digits


def assert_new(new_study: NewStudy, old: Specification, read: Specification, commands: list[list[str]]) -> None:
    """Whether the last command begins a study of another name from this file."""
    name = commands[-1][4] if new_study.goes_on else read.name
    assert name == new_study.name != old.name
    assert commands[-1][:3] == ["frcnn-search", "launch", str(FILE)]
    assert all(command[2] == str(FILE) for command in commands)


@pytest.mark.parametrize(
    ("trials", "precision"),
    [([diverged(0.05)], "float32"), ([healthy(0.05, clip_norm=40.0), diverged(0.05)], "float32")],
)
def test_the_advice_begins_a_study_that_has_room_for_the_repair(
    tmp_path: Path, sample: Path, trials: list[Sown], precision: str
) -> None:
    file = tmp_path / "study.yaml"
    section = {"optimizer": "sgd", "lr_per_16": {"low": 0.04, "high": 0.1}, "clip_norm": {"low": 30.0, "high": 50.0}}
    specification = planted_specification(f"sqlite:///{tmp_path / 's.db'}", sample, space=section)
    file.write_text(study_text(specification), encoding="utf-8")
    with Database.open(specification.storage) as database:
        history = plant(database, specification, trials)
        explanation = explain_trial(find_study(database, "planted"), history, len(trials) - 1, file=file)
    assert explanation.repair is not None
    steps = explanation.new_study.steps(explanation.repair.study_edit)
    text, commands = followed(steps, file.read_text(encoding="utf-8"))
    file.write_text(text, encoding="utf-8")
    new = file
    if "--continue-as" in commands[-1]:
        new = write_continuation(file, commands[-1][-1])
    begun = load_study_file(new)
    assert begun.name == explanation.new_study.name == "planted-2"
    assert all(begun.space.parameters[name].contains(value) for name, value in explanation.repair.values.items())


def test_the_new_name_is_one_that_nobody_has(tmp_path: Path, sample: Path) -> None:
    history = imagine(planted_specification("sqlite:///none.db", sample, name="cells-2"), [healthy()])
    (tmp_path / "cells-4.yaml").write_text("")
    assert NewStudy.after(history, tmp_path / "study.yaml", {"cells-2", "cells-3"}).name == "cells-5"
    assert NewStudy.after(history).launch == "frcnn-search launch study.yaml --continue-as cells-3"


def test_a_study_without_an_ap_cannot_be_continued_and_is_begun_under_another_name(sample: Path) -> None:
    history = imagine(planted_specification("sqlite:///none.db", sample), [diverged(0.05)])
    new_study = NewStudy.after(history)
    assert new_study.begin == "in study.yaml, change its name: `name: planted-2`, and frcnn-search launch study.yaml"


@pytest.mark.parametrize(
    ("parameter", "before", "after", "expected"),
    [
        pytest.param(Float(low=0.1, high=1, log=True), 0.4, 0.04, 0.1, id="log 4 of log 10"),
        pytest.param(Float(low=0.2, high=1, log=True), 0.4, 0.04, 0.04, id="log 2 of log 10 is too little"),
        pytest.param(Float(low=0.0, high=0.3), 0.0, 0.4, 0.3, id="from zero, in plain numbers"),
        pytest.param(Categorical(values=(0.4, 0.001)), 0.4, 0.04, 0.04, id="never beyond what is wanted"),
        pytest.param(Float(low=0.01, high=1), 0.4, 0.04, 0.04, id="inside"),
    ],
)
def test_the_end_of_a_range_will_do_where_it_is_most_of_the_way(
    parameter: Any, before: float, after: float, expected: float
) -> None:
    assert within_reach(parameter, before, after) == pytest.approx(expected)
