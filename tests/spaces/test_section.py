import math

import pytest

from spaces.faster_rcnn import Space
from spaces.parameters import Categorical, Fixed, Float, Int
from spaces.section import SpaceError, parse, write


@pytest.mark.parametrize(
    ("name", "entry", "parameter"),
    [
        pytest.param("lr_per_16", 0.01, Fixed(value=0.01), id="a number fixes"),
        pytest.param("lr_per_16", {"high": 0.05}, Float(low=1e-4, high=0.05, log=True), id="the rest stays"),
        pytest.param("momentum", {"low": 0, "high": 0.99}, Float(low=0, high=0.99), id="widened"),
        pytest.param("batch_size", [2, 32], Categorical(values=(2, 32)), id="choices"),
        pytest.param("anchor_scales", {"high": 5}, Int(low=1, high=5), id="whole range"),
        pytest.param("anchor_ratios", {"low": 3, "high": 7}, Int(low=3, high=7, step=2), id="step stays"),
        pytest.param("optimizer", "adam", Fixed(value="adam"), id="text"),
        pytest.param("momentum", [0.8, 0.9], Categorical(values=(0.8, 0.9)), id="choices of reals"),
    ],
)
def test_an_entry_becomes_a_parameter(name, entry, parameter):
    assert parse({name: entry}).parameters[name] == parameter


def test_what_the_section_does_not_name_keeps_its_default():
    space = parse({"momentum": 0.9})
    default = Space.default()
    assert parse({}) == default
    assert {n: p for n, p in space.parameters.items() if n != "momentum"} == {
        n: p for n, p in default.parameters.items() if n != "momentum"
    }


def test_a_section_can_build_on_another_space_than_the_default_one():
    derived = parse({"anchor_base": {"low": 3, "high": 5}, "momentum": 0.95})
    space = parse({"anchor_base": {"high": 4}}, base=derived)
    assert space.parameters["anchor_base"] == Float(low=3, high=4, log=True)
    assert space.parameters["momentum"] == Fixed(value=0.95)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        pytest.param({"lr_per16": 1}, "the nearest is lr_per_16", id="unknown name"),
        pytest.param({"anchor": {}}, "the nearest is anchors", id="nearly anchors"),
        pytest.param({"momentum": 1.0}, r"momentum: must lie in \[0, 0.999\], but is 1.0", id="beyond validity"),
        pytest.param({"momentum": {"low": 0.5, "high": 1.5}}, "momentum: must lie in", id="range beyond validity"),
        pytest.param({"lr_per_16": -0.1}, "lr_per_16: must lie in", id="negative rate"),
        pytest.param({"lr_per_16": {"low": 0.1, "high": 0.01}}, "low must be less than high", id="low above high"),
        pytest.param({"weight_decay": {"low": 0, "high": 0.1}}, "set log: false", id="logarithm of zero"),
        pytest.param({"lr_per_16": math.nan}, "must be a finite number", id="nan"),
        pytest.param({"lr_per_16": None}, "must be a finite number", id="empty"),
        pytest.param({"lr_per_16": True}, "must be a finite number", id="boolean"),
        pytest.param({"lr_per_16": {"low": 0.1, "max": 1}}, "but not 'max'", id="unknown key of a range"),
        pytest.param({"lr_per_16": {"low": 0.01, "log": "yes"}}, "log must be true or false", id="log of text"),
        pytest.param({"batch_size": []}, "the list is empty", id="no choice"),
        pytest.param({"batch_size": {"low": 2, "high": 8}}, "a list of the values", id="range of batch sizes"),
        pytest.param({"batch_size": 2.5}, "must be a whole number", id="half an image"),
        pytest.param({"optimizer": "adamw"}, "must be one of sgd, adam", id="unknown optimizer"),
        pytest.param({"anchors": [32]}, "exactly sizes_px and ratios", id="anchors without keys"),
        pytest.param({"anchors": {"sizes_px": [], "ratios": [1]}}, "sizes_px must be a list", id="no sizes"),
        pytest.param({"anchors": {"sizes_px": [-8], "ratios": [1]}}, "positive", id="negative size"),
        pytest.param({"anchors": {"sizes_px": [[8], [16]], "ratios": [1]}}, "needed for 5 levels", id="two levels"),
        pytest.param(
            {"anchors": {"sizes_px": [8], "ratios": [1]}, "anchor_base": 8}, "replace anchor_base", id="anchors twice"
        ),
    ],
)
def test_a_bad_entry_is_refused_with_its_rule(section, message):
    with pytest.raises(SpaceError, match=message):
        parse(section)


def test_all_problems_are_told_at_once():
    with pytest.raises(SpaceError) as raised:
        parse({"momentum": 2, "lr_per_16": 0.01, "nonsense": 1})
    assert [key for key, _ in raised.value.problems] == ["momentum", "nonsense"]


def test_a_written_section_names_every_parameter():
    assert list(write(Space.default())) == list(Space.default().parameters)
