import math
from dataclasses import replace

import optuna
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detector.config import Anchors, Augmentation, ConfigError, Hyperparameters, Optimizer
from spaces.catalogue import DEFINITIONS
from spaces.faster_rcnn import Space, anchor_ratios, anchor_sizes_px, decay_boundaries
from spaces.parameters import Categorical, Fixed, Float, Int
from spaces.section import parse, write

#: A machine that others use too may be slow for a while.
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def values_in(parameter):
    match parameter:
        case Float(low=low, high=high):
            return st.one_of(st.floats(low, high), st.sampled_from([low, high]))
        case Int(low=low, high=high, step=step):
            return st.sampled_from(range(low, high + 1, step))
        case Categorical(values=values):
            return st.sampled_from(values)
        case Fixed(value=value):
            return st.just(value)


@st.composite
def entries(draw, name):
    """A study file's entry for the parameter: narrowed, widened to its limits, a list, or fixed."""
    definition = DEFINITIONS[name]
    if isinstance(definition.reference, str):
        return draw(st.sampled_from(["sgd", "adam", ["adam"], ["adam", "sgd"]]))
    low, high = definition.limits
    if isinstance(definition.reference, int):
        numbers = st.integers(int(low), int(high))
    else:
        numbers = st.floats(low, high, allow_subnormal=False)
    chosen = sorted(draw(st.lists(numbers, min_size=1, max_size=3, unique=True)))
    if len(chosen) == 1:
        return chosen[0]
    if isinstance(definition.default, Categorical) or draw(st.booleans()):
        return chosen
    log = chosen[0] > 0 and draw(st.booleans())
    entry = {"low": chosen[0], "high": chosen[-1], "log": log}
    return entry | {"step": 1} if isinstance(definition.default, Int) else entry


@st.composite
def sections(draw):
    names = draw(st.lists(st.sampled_from(list(DEFINITIONS)), unique=True))
    return {name: draw(entries(name)) for name in names}


class DrawingTrial:
    """Lets hypothesis choose what Optuna would."""

    def __init__(self, data):
        self.data = data

    def suggest_float(self, name, low, high, *, log=False):
        return self.data.draw(values_in(Float(low=low, high=high, log=log)), label=name)

    def suggest_int(self, name, low, high, *, step=1, log=False):
        return self.data.draw(values_in(Int(low=low, high=high, step=step, log=log)), label=name)

    def suggest_categorical(self, name, choices):
        return self.data.draw(st.sampled_from(choices), label=name)


def check_point(space, values):
    hyperparameters = space.configuration(values)
    assert isinstance(hyperparameters, Hyperparameters)
    assert hyperparameters.anchors.per_cell <= space.anchors_per_cell()
    assert hyperparameters.batch_size in space.batch_sizes()
    assert hyperparameters.batch_size % space.micro_batch() == 0
    assert math.isfinite(hyperparameters.learning_rate)
    return hyperparameters


@PATIENT
@given(st.data())
def test_every_point_of_the_default_space_is_a_valid_configuration(data):
    space = Space.default()
    check_point(space, space.suggest(DrawingTrial(data)))


@settings(PATIENT, max_examples=200)
@given(sections(), st.data())
def test_every_point_of_any_narrowed_or_widened_space_is_a_valid_configuration(section, data):
    space = parse(section)
    check_point(space, space.suggest(DrawingTrial(data)))


@settings(PATIENT, max_examples=200)
@given(sections())
def test_the_reference_lies_inside_of_any_space_and_differs_from_detectron2_only_where_it_must(section):
    space = parse(section)
    check_point(space, space.reference())
    for name, value in space.reference().items():
        wanted = DEFINITIONS[name].reference
        assert space.parameters[name].contains(value)
        rounded = pytest.approx(wanted, rel=1e-9, abs=1e-12) if isinstance(wanted, float) else wanted  # as `contains`
        assert value == rounded or not space.parameters[name].contains(wanted)


@PATIENT
@given(sections())
def test_a_space_written_to_a_section_is_read_back_the_same(section):
    space = parse(section)
    assert parse(write(space)) == space


@settings(PATIENT, max_examples=50)
@given(st.data())
def test_a_configuration_remembers_the_point_it_came_from(data):
    space = Space.default()
    point = space.suggest(DrawingTrial(data))
    hyperparameters = space.configuration(point)
    sizes = hyperparameters.anchors.sizes_px
    assert sizes[0][0] / 4 == pytest.approx(point["anchor_base"])
    assert len(sizes[0]) == point["anchor_scales"]
    assert len(hyperparameters.decay_boundaries) == point["decays"]
    lr_name = "lr_per_16" if hyperparameters.optimizer is Optimizer.SGD else "adam_lr_per_16"
    assert hyperparameters.lr_per_16 == point[lr_name]
    if "decay_gap" in point:
        first, second = hyperparameters.decay_boundaries
        assert (second - first) / (1 - first) == pytest.approx(point["decay_gap"])


def test_the_reference_is_detectron2s_configuration():
    space = Space.default()
    hyperparameters = space.configuration(space.reference())
    assert hyperparameters.decay_boundaries == pytest.approx((2 / 3, 8 / 9))
    assert hyperparameters.augmentation == Augmentation.of_strength(0.1)
    same = replace(hyperparameters, decay_boundaries=(2 / 3, 8 / 9), augmentation=Augmentation())
    assert same == Hyperparameters()


def test_the_reference_moves_to_the_nearest_value_that_the_study_allows():
    space = parse({"lr_per_16": {"high": 0.01}, "batch_size": [2, 4], "optimizer": ["sgd"], "decays": 0})
    reference = space.reference()
    assert reference["lr_per_16"] == 0.01
    assert reference["batch_size"] == 4
    assert "decays" not in reference  # fixed
    assert "decay_first" not in reference  # without a decay


def test_the_reference_of_a_study_with_adam_alone_has_adams_learning_rate():
    space = parse({"optimizer": "adam"})
    assert "lr_per_16" not in space.reference()
    assert space.configuration(space.reference()).lr_per_16 == 1e-4


@pytest.mark.parametrize(
    ("base", "scales", "span", "level_2"),
    [
        pytest.param(8, 1, 1, (32,), id="8 × 4 px"),
        pytest.param(8, 2, 1, (32, 32 * 2**0.5), id="a half octave apart"),
        pytest.param(4, 3, 0.75, (16, 16 * 2**0.25, 16 * 2**0.5), id="0.75 / 3 = a quarter octave apart"),
    ],
)
def test_anchor_sizes_grow_by_even_shares_of_the_span_and_double_with_the_level(base, scales, span, level_2):
    sizes = anchor_sizes_px(base, scales, span)
    assert sizes[0] == pytest.approx(level_2)
    assert [level[0] for level in sizes] == pytest.approx([level_2[0] * 2**k for k in range(5)])


@pytest.mark.parametrize(
    ("centre", "spread", "count", "ratios"),
    [
        pytest.param(1, 2, 3, (0.5, 1, 2), id="Detectron2's"),
        pytest.param(1.5, 3, 1, (1.5,), id="one is the centre"),
        pytest.param(1, 4, 5, (0.25, 0.5, 1, 2, 4), id="4 to the -1, -1/2, 0, 1/2, 1"),
        pytest.param(2, 2, 2, (1, 4), id="two are the ends"),
    ],
)
def test_anchor_ratios_spread_evenly_around_their_centre(centre, spread, count, ratios):
    assert anchor_ratios(centre, spread, count) == pytest.approx(ratios)


@pytest.mark.parametrize(
    ("warmup", "decays", "first", "gap", "boundaries"),
    [
        pytest.param(0, 0, 0.5, 0.5, (), id="none"),
        pytest.param(0.1, 1, 0.5, 0.5, (0.55,), id="0.1 + 0.5 × 0.9"),
        pytest.param(0.1, 2, 0.5, 0.4, (0.55, 0.73), id="0.55 + 0.4 × 0.45"),
        pytest.param(0, 3, 0.5, 0.5, (0.5, 0.75, 0.875), id="halves of halves"),
    ],
)
def test_decay_boundaries_are_shares_of_what_remains(warmup, decays, first, gap, boundaries):
    assert decay_boundaries(warmup, decays, first, gap) == pytest.approx(boundaries)


def test_fixed_values_and_inactive_parameters_are_not_suggested(trial):
    space = parse({"momentum": 0.9, "optimizer": "adam", "anchor_scales": 1, "decays": {"low": 1, "high": 2}})
    values = space.suggest(trial)
    assert values == {name: values[name] for name in trial.asked}
    assert not {"momentum", "optimizer", "lr_per_16", "anchor_octave_span", "decay_gap"} & set(values)
    assert {"adam_lr_per_16", "decay_first"} <= set(values)
    assert space.configuration(values).momentum == 0.9


def test_one_augmentation_can_leave_the_common_strength():
    space = parse(
        {"augmentation": 0.5, "augmentation_flip_probability": 0, "augmentation_hue": {"low": 0, "high": 0.02}}
    )
    point = space.reference() | {"augmentation_hue": 0.01}
    augmentation = space.configuration(point).augmentation
    assert augmentation.flip_probability == 0
    assert augmentation.hue == 0.01
    assert augmentation.scale == 0.5  # the strength's


def test_matching_thresholds_can_be_searched_where_the_study_names_them():
    space = parse({"rpn_positive_iou": 0.5, "roi_positive_fraction": [0.25, 0.5]})
    hyperparameters = space.configuration(space.reference() | {"roi_positive_fraction": 0.5})
    assert (hyperparameters.rpn_positive_iou, hyperparameters.roi_positive_fraction) == (0.5, 0.5)


def test_flat_anchor_sizes_stand_on_every_level_and_replace_the_anchor_parameters(trial):
    space = parse({"anchors": {"sizes_px": [128, 256, 512], "ratios": [0.5, 1, 2]}})
    expected = Anchors(sizes_px=((128, 256, 512),) * 5, ratios=(0.5, 1, 2))
    values = space.suggest(trial)
    assert space.configuration(values).anchors == expected
    assert space.anchors_per_cell() == 9
    assert not [name for name in values if name.startswith("anchor")]
    assert parse(write(space)) == space


def test_nested_anchor_sizes_are_one_list_for_each_level():
    sizes = [[8], [16], [32], [64], [128]]
    space = parse({"anchors": {"sizes_px": sizes, "ratios": [1]}})
    assert space.configuration(space.reference()).anchors.sizes_px == ((8,), (16,), (32,), (64,), (128,))


@pytest.mark.parametrize(
    ("batch_sizes", "limit", "micro_batch"),
    [
        pytest.param([4, 8, 16], 8, 4, id="the smallest divides the others"),
        pytest.param([16, 32], 8, 8, id="at most the limit"),
        pytest.param([6, 9], 8, 3, id="greatest common divisor"),
        pytest.param([12], 8, 6, id="6 is the greatest divisor of 12 up to 8"),
        pytest.param([11], 8, 1, id="a prime above the limit"),
    ],
)
def test_the_micro_batch_divides_every_batch(batch_sizes, limit, micro_batch):
    assert parse({"batch_size": batch_sizes}).micro_batch(limit) == micro_batch


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"momentum": None}, "momentum is missing", id="missing"),
        pytest.param({"momentum": 0.99}, "momentum must be in", id="outside of the space"),
        pytest.param({"nonsense": 1}, "nonsense is no parameter", id="unknown"),
    ],
)
def test_a_point_that_is_not_in_the_space_is_refused(change, message):
    space = Space.default()
    point = {name: value for name, value in (space.reference() | change).items() if value is not None}
    with pytest.raises(ConfigError, match=message):
        space.configuration(point)


def test_a_space_without_a_parameter_cannot_be_built():
    with pytest.raises(ConfigError, match="optimizer is missing"):
        Space(parameters={name: p for name, p in Space.default().parameters.items() if name != "optimizer"})


def test_optuna_proposes_points_of_the_space_and_trial_0_is_the_reference():
    space = Space.default()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.enqueue_trial(space.reference())
    for _ in range(10):
        trial = study.ask()
        assert space.suggest(trial) == trial.params
        check_point(space, trial.params)
    assert study.trials[0].params == space.reference()
