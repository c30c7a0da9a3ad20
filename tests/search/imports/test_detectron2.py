import math

import pytest

from detector.config import Anchors, BackboneName, ConfigError, Hyperparameters
from search.imports.framework import Framework
from search.imports.imported import Imported, Resize
from search.imports.recognition import read_imported
from search.imports.trial_zero import NO_CLIPPING, trial_zero


@pytest.fixture
def read(tmp_path):
    def go(text: str, name: str = "config.yaml") -> Imported:
        file = tmp_path / name
        file.write_text(text, encoding="utf-8")
        return read_imported(file, framework=None, gpus=1, images=200)

    return go


def test_the_fpn_base_alone_is_the_reference_but_for_clipping_and_augmentation(read):
    trial = trial_zero(read('_BASE_: "../Base-RCNN-FPN.yaml"\n'))
    own = trial.hyperparameters
    expected = Hyperparameters(
        warmup_fraction=1000 / 90_000,
        clip_norm=NO_CLIPPING,
        augmentation=own.augmentation,
    )
    assert own == expected
    assert own.augmentation.flip_probability == 0.5
    assert own.augmentation.scale == pytest.approx(math.sqrt(800 / 640) - 1)  # short sides of 640 to 800 px
    assert trial.substitutions == ()


def test_an_empty_file_of_detectron2_is_a_c4_model_with_fifteen_anchors_on_one_map(read):
    imported = read("MODEL: {}\n")
    assert imported.strides_px == (16,)
    assert (imported.learning_rate.value, imported.iterations.value) == (0.001, 40_000)
    assert imported.learning_rate.line is None
    assert "one map of stride 16" in {each.what for each in imported.differences}
    # 32 px → P2 (log2(32 / 8) = 2), 64 → P3, …, 512 → P6
    assert trial_zero(imported).hyperparameters.anchors == Anchors()


def test_texts_are_evaluated_as_yacs_does_and_each_value_knows_its_line(read):
    imported = read(
        "# mine\n_BASE_: Base-RCNN-FPN.yaml\nSOLVER:\n  STEPS: (60, 80)\n  MAX_ITER: 100  # short\n  BASE_LR: 1e-3\n"
        "  WARMUP_ITERS: 5\n"
    )
    assert imported.milestones.value == (60, 80)
    assert (imported.milestones.key, imported.milestones.line) == ("SOLVER.STEPS", 4)
    assert (imported.learning_rate.value, imported.learning_rate.line) == (0.001, 6)
    assert trial_zero(imported).hyperparameters.decay_boundaries == (0.6, 0.8)


def test_a_base_beside_the_file_is_followed_and_its_own_base_too(read, tmp_path):
    (tmp_path / "middle.yaml").write_text("_BASE_: Base-RCNN-FPN.yaml\nSOLVER: {BASE_LR: 0.005, MAX_ITER: 500}\n")
    imported = read("_BASE_: middle.yaml\nSOLVER: {MAX_ITER: 700}\n")
    assert imported.learning_rate.value == 0.005
    assert imported.iterations.value == 700
    assert imported.batch_size.value == 16


def test_a_base_that_leads_to_itself_is_refused(read, tmp_path):
    with pytest.raises(ConfigError, match="_BASE_ goes on over 10 files"):
        read("_BASE_: config.yaml\n")


def test_a_base_that_is_nowhere_is_refused_with_what_to_give_instead(read):
    with pytest.raises(ConfigError, match=r"names mine.yaml, which is not there; give config.yaml of the training"):
        read("_BASE_: mine.yaml\n")


def test_a_retinanet_is_refused(read):
    with pytest.raises(ConfigError, match=r"META_ARCHITECTURE \(line 2\) is RetinaNet, which is no Faster R-CNN"):
        read("MODEL:\n  META_ARCHITECTURE: RetinaNet\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SOLVER: {BASE_LR: fast}", r"SOLVER.BASE_LR \(line 1\) must be a finite number, but is 'fast'"),
        ("SOLVER: {BASE_LR: .nan}", "must be a finite number"),
        ("SOLVER: {IMS_PER_BATCH: 2.5}", "must be a whole number"),
        ("MODEL: {RPN: {IOU_THRESHOLDS: [0.3]}}", "must be two numbers"),
        ("MODEL: {RPN: {IN_FEATURES: [q1]}}", "must be of p2"),
        ("MODEL: {ANCHOR_GENERATOR: {SIZES: []}}", "must be lists of finite numbers"),
        ("MODEL: 3", "MODEL must hold keys such as META_ARCHITECTURE, but is 3"),
        ("- MODEL", "is no configuration that is known"),
        ("MODEL: !!python/object:os.system ls", "tags are refused"),
    ],
)
def test_what_is_no_value_of_its_kind_is_refused_with_key_line_and_value(read, text, message):
    with pytest.raises(ConfigError, match=message):
        trial_zero(read(text + "\n"))


def test_one_list_of_sizes_stands_on_every_level_as_detectron2_broadcasts_it(read):
    imported = read("_BASE_: Base-RCNN-FPN.yaml\nMODEL: {ANCHOR_GENERATOR: {SIZES: [[32, 64]]}}\n")
    assert imported.sizes_px.value == ((32, 64),) * 5
    assert trial_zero(imported).hyperparameters.anchors.sizes_px == ((32, 64),) * 5


def test_it_is_recognised_and_says_what_no_trial_has(read):
    imported = read(
        "_BASE_: Base-RCNN-FPN.yaml\nMODEL:\n  RESNETS: {DEPTH: 152}\n  MASK_ON: True\n"
        "  ROI_HEADS: {NAME: CascadeROIHeads}\nSOLVER: {LR_SCHEDULER_NAME: WarmupCosineLR, NESTEROV: true}\n"
    )
    assert imported.framework is Framework.DETECTRON2
    assert [each.what for each in imported.differences] == [
        "ResNet-152", "a mask head", "Cascade R-CNN", "WarmupCosineLR", "Nesterov's momentum",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("said", "name", "words"),
    [
        ("RESNETS: {DEPTH: 18, RES2_OUT_CHANNELS: 64}", BackboneName.RESNET18, "ResNet-18"),
        ("RESNETS: {DEPTH: 101}", BackboneName.RESNET101, "ResNet-101"),
        ("RESNETS: {DEPTH: 101, NUM_GROUPS: 32, WIDTH_PER_GROUP: 8}", None, "ResNeXt-101"),
        ("RESNETS: {WIDTH_PER_GROUP: 128}", None, "a ResNet-50 of 128 channels"),
        ("BACKBONE: {NAME: build_swint_fpn_backbone}", None, "the backbone build_swint_fpn_backbone"),
    ],
)
def test_a_plain_resnet_is_the_study_s_and_another_backbone_is_said(read, said, name, words):
    imported = read(f"_BASE_: Base-RCNN-FPN.yaml\nMODEL:\n  {said}\n")
    assert (imported.backbone.name, imported.backbone.words) == (name, words)
    assert [(each.what, each.instead) for each in imported.differences] == ([] if name else [(words, "ResNet-50")])


def test_images_are_resized_by_their_short_side(read):
    imported = read("INPUT:\n  MIN_SIZE_TRAIN: (400, 500)\n  MAX_SIZE_TRAIN: 900\n")
    assert imported.resize is not None
    assert imported.resize.value == Resize(short_px=(400, 500), most_long_px=900)
