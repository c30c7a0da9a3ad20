from pathlib import Path

import pytest

from detector.config import BackboneName, ConfigError
from search.imports.formats.mmdet import read_mmdet
from search.imports.formats.their_python import parse_python
from search.imports.imported import Imported, Resize
from search.imports.recognition import read_imported
from search.imports.trial_zero import trial_zero

TEXT = (Path(__file__).parent / "failing" / "no_names.py").read_text(encoding="utf-8")


def read(text: str = TEXT, *, gpus: int = 1, images: int = 160) -> Imported:
    return read_mmdet(text, Path("config.py"), gpus=gpus, images=images)


def changed(old: str, new: str) -> str:
    assert old in TEXT
    return TEXT.replace(old, new)


def test_every_value_stands_for_what_mmengine_makes_of_it():
    imported = read()
    own = trial_zero(imported).hyperparameters
    # 160 images in batches of 2 are 80 iterations an epoch: 24 epochs are 1,920, drops at 16 and 22 epochs
    assert imported.iterations.value == 1920
    assert own.decay_boundaries == pytest.approx((16 / 24, 22 / 24))
    # LinearLR reaches the whole rate at the last but one of its steps: end 101 is a warm-up of 100
    assert own.warmup_fraction == pytest.approx(100 / 1920)
    assert own.warmup_factor == 0.001
    # 0.02 / 8 is worked out, and scales × strides 4 … 64
    assert own.learning_rate == 0.0025
    assert own.anchors.sizes_px == ((16,), (32,), (64,), (128,), (256,))
    assert imported.frozen_stages.value == 2  # `frozen_stages=1` freezes the stem and the first stage
    assert imported.resize is not None
    assert imported.resize.value == Resize(short_px=(128,), most_long_px=160)
    assert own.augmentation.flip_probability == 0.5
    assert imported.norm_trains.value is False


def test_images_of_all_gpus_are_one_batch_and_epochs_get_shorter():
    imported = read(gpus=8)
    assert imported.batch_size.value == 16
    assert imported.iterations.value == 24 * 10
    assert imported.learning_rate.value == 0.0025  # as it stands, unless it scales itself
    scaled = read(changed("enable=False", "enable=True"), gpus=8)
    assert scaled.learning_rate.value == 0.0025  # 16 of 16
    assert read(changed("enable=False", "enable=True")).learning_rate.value == 0.0025 * 2 / 16


def test_gradients_gathered_over_steps_are_one_batch():
    text = changed('type="OptimWrapper",', 'type="OptimWrapper", accumulative_counts=4,')
    assert read(text).batch_size.value == 8


@pytest.mark.parametrize(
    ("old", "new", "name", "words"),
    [
        ("depth=50", "depth=18", BackboneName.RESNET18, "ResNet-18"),
        ("depth=50", "depth=152", None, "ResNet-152"),
        ('type="ResNet"', 'type="ResNeXt"', None, "the backbone ResNeXt"),
    ],
)
def test_a_plain_resnet_is_the_study_s_and_another_backbone_is_said(old, new, name, words):
    imported = read(changed(old, new))
    assert imported.backbone.name is name
    assert [(each.what, each.instead) for each in imported.differences] == ([] if name else [(words, "ResNet-50")])


def test_repeated_data_makes_longer_epochs():
    wrapped = TEXT.replace("dataset=dict(", "dataset=dict(type='RepeatDataset', times=3, dataset=dict(", 1)
    wrapped = wrapped.replace("pipeline=train_pipeline,\n    ),", "pipeline=train_pipeline)),")
    imported = read(wrapped)
    assert imported.iterations.value == 24 * 240
    assert imported.flip_probability.value == 0.5


@pytest.mark.parametrize(
    ("generator", "sizes"),
    [
        ("scales=[8], base_sizes=[3, 5, 7, 9, 11]", ((24,), (40,), (56,), (72,), (88,))),
        ("octave_base_scale=4, scales_per_octave=2", None),
    ],
)
def test_other_ways_to_name_sizes(generator, sizes):
    imported = read(changed("scales=[4]", generator))
    if sizes is None:  # 4 · 2^(i / 2) strides
        assert imported.sizes_px.value[0] == pytest.approx((16, 16 * 2**0.5))
    else:
        assert imported.sizes_px.value == sizes


def test_a_file_with_a_base_is_refused_with_where_the_whole_one_is():
    with pytest.raises(ConfigError, match=r"vis_data/config\.py"):
        read("_base_ = ['../faster-rcnn_r50_fpn.py']\n" + TEXT)


@pytest.mark.parametrize(
    "program",
    [
        "open('ran.txt', 'w').write('x')",
        "__import__('os').system('touch ran.txt')",
        "model['type'] = open('ran.txt', 'w').write('x')",
        "for _ in [1]: open('ran.txt', 'w')",
        "def f(): pass",
        "class A: print(open('ran.txt', 'w'))",
        "with open('ran.txt', 'w') as f: pass",
        "model.update(dict(a=1))",
        "lr += 1",
        "del model",
    ],
)
def test_a_program_is_refused_and_never_run(program, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "config.py"
    file.write_text(TEXT + program + "\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="is a piece of program, and none is run"):
        read_imported(file, framework=None, gpus=1, images=10)
    assert not (tmp_path / "ran.txt").exists()


@pytest.mark.parametrize(
    "value",
    [
        "open('ran.txt', 'w').write('x')",
        "[open('ran.txt', 'w') for _ in [1]][0]",
        "(lambda: open('ran.txt', 'w'))()",
        "dict(open('ran.txt', 'w'))",
        "f\"{open('ran.txt', 'w')}\"",
        "2 ** 99999999",
        "never_assigned",
    ],
)
def test_an_expression_is_refused_where_its_value_is_needed_and_never_run(value, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"optim_wrapper.optimizer.lr \(line \d+\) is an expression"):
        read(changed("lr=0.02 / 8", f"lr={value}"))
    assert not (tmp_path / "ran.txt").exists()


def test_an_expression_that_nothing_needs_is_no_obstacle():
    assert read(TEXT + "visualizer = make(vis_backends)\n").learning_rate.value == 0.0025


def test_names_that_were_assigned_before_have_their_values():
    values, spans = parse_python("lr = 0.1\nbase = dict(lr=lr, names=['a'])\nmodel = dict(inner=base)\n", "x")
    assert values["model"] == {"inner": {"lr": 0.1, "names": ["a"]}}
    assert spans["base.lr"].line == 1  # where it stands, to be changed there


def test_spans_cover_the_value_also_behind_wide_characters():
    text = "# é\nmodel = dict(a='ü', b=[1, -2.5])\n"
    _, spans = parse_python(text, "x")
    assert [text[spans[key].start : spans[key].stop] for key in ("model.a", "model.b", "model.b[1]")] == [
        "'ü'", "[1, -2.5]", "-2.5",
    ]  # fmt: skip


def test_names_cannot_multiply_values_without_end():
    lines = ["a0 = [1, 1]"] + [f"a{n} = [a{n - 1}, a{n - 1}]" for n in range(1, 40)]
    with pytest.raises(ConfigError, match="at most 20,000 values"):
        parse_python("\n".join(lines), "x")


def test_a_cascade_is_read_by_its_first_head_and_said():
    text = changed('type="FasterRCNN"', 'type="CascadeRCNN"')
    text = text.replace(
        'bbox_head=dict(type="Shared2FCBBoxHead", num_classes=3)',
        'bbox_head=[dict(type="Shared2FCBBoxHead", num_classes=3), dict(type="Shared2FCBBoxHead", num_classes=4)]',
    )
    imported = read(text)
    assert imported.classes.value == 3
    assert "CascadeRCNN" in {each.what for each in imported.differences}


@pytest.mark.parametrize(
    "text", ["model = dict(type='RetinaNet')", "model = 3", "model = dict()", "x = 1", "model = ("]
)
def test_what_is_no_faster_rcnn_is_refused(text):
    with pytest.raises(ConfigError):
        read(text + "\n")
