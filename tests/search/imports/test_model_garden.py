from pathlib import Path

import pytest

from detector.config import BackboneName, Canvas, ConfigError
from search.imports.formats.model_garden import read_model_garden
from search.imports.imported import Imported
from search.imports.trial_zero import NO_CLIPPING, trial_zero

TEXT = (Path(__file__).parent / "failing" / "coco_schedule.yaml").read_text(encoding="utf-8")


def read(text: str) -> Imported:
    return read_model_garden(text, Path("params.yaml"), gpus=1, images=100)


def test_the_experiment_alone_is_what_the_model_garden_trains():
    imported = read("task: {}\n")
    own = trial_zero(imported).hyperparameters
    assert own.lr_per_16 == pytest.approx(0.12 / 4)  # 0.12 for 64 images
    # A boundary holds the old rate up to and including itself: the lower one begins an iteration later.
    assert own.decay_boundaries == (15_001 / 22_500, 20_001 / 22_500)
    assert own.decay_factor == pytest.approx(0.1)
    assert own.warmup_fraction == 500 / 22_500
    assert own.warmup_factor == pytest.approx(0.0067 / 0.12)
    assert own.anchors.sizes_px == ((32,), (64,), (128,), (256,), (512,))
    assert own.weight_decay == 4e-5
    assert own.clip_norm == NO_CLIPPING
    assert imported.norm_trains.value
    assert imported.classes.value == 91
    assert imported.counts_background


def test_sizes_spread_over_an_octave_and_ratios_are_inverted():
    text = TEXT.replace("num_scales: 1", "num_scales: 2").replace("[0.5, 1.0, 2.0]", "[0.25, 1.0]")
    own = trial_zero(read(text)).hyperparameters
    assert own.anchors.sizes_px[1] == pytest.approx((32, 32 * 2**0.5))  # 4 strides of 8 px
    assert own.anchors.ratios == (4.0, 1.0)


def test_their_values_know_their_lines():
    imported = read(TEXT)
    assert (imported.learning_rate.value, imported.learning_rate.line) == (0.005, 17)
    assert imported.resize is not None
    assert imported.resize.value.frame == Canvas(height_px=128, width_px=192)
    assert imported.frozen_stages.value == 5
    assert imported.differences == ()


@pytest.mark.parametrize(
    ("backbone", "name", "words"),
    [
        ("{type: resnet, resnet: {model_id: 34}}", BackboneName.RESNET34, "ResNet-34"),
        ("{type: resnet, resnet: {model_id: 152}}", None, "ResNet-152"),
        ("{type: spinenet}", None, "the backbone spinenet"),
    ],
)
def test_a_plain_resnet_is_the_study_s_and_another_backbone_is_said(backbone, name, words):
    imported = read(f"task: {{model: {{backbone: {backbone}}}}}\n")
    assert imported.backbone.name is name
    said = [each.what for each in imported.differences if each.instead == "ResNet-50"]
    assert said == ([] if name else [words])


def test_clipping_is_of_the_optimizer():
    text = TEXT.replace(
        "  optimizer_config:\n", "  optimizer_config:\n    optimizer: {type: sgd, sgd: {global_clipnorm: 10.0}}\n"
    )
    own = trial_zero(read(text)).hyperparameters
    assert (own.clip_norm, own.momentum) == (10.0, 0.9)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("task: {model: {input_size: [0, 1]}}", "must be height, width and channels"),
        ("task: {model: {min_level: 7}}", "must be a level"),
        (TEXT.replace("[15000, 20000]", "[15000]"), "must be one value more than"),
        (TEXT.replace("type: stepwise", "type: cosine"), r"cosine.initial_learning_rate is missing"),
        ("task: 5", "task must hold keys"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_key(text, message):
    with pytest.raises(ConfigError, match=message):
        read(text)
