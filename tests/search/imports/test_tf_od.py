from pathlib import Path

import pytest

from detector.config import BackboneName, Canvas, ConfigError, Optimizer
from search.imports.formats.tf_od import read_tf_od
from search.imports.formats.their_prototext import parse_prototext
from search.imports.imported import Imported, Resize
from search.imports.trial_zero import NO_CLIPPING, trial_zero

TEXT = (Path(__file__).parent / "failing" / "momentum_for_64.config").read_text(encoding="utf-8")

#: As the API ships it: Inception, one map of stride 16, four scales.
SHIPPED = """
model {
  faster_rcnn {
    num_classes: 90
    image_resizer { fixed_shape_resizer { height: 640 width: 640 } }
    feature_extractor { type: "faster_rcnn_resnet101_keras" batch_norm_trainable: true }
    first_stage_anchor_generator {
      grid_anchor_generator {
        scales: [0.25, 0.5, 1.0, 2.0]
        aspect_ratios: 0.5 aspect_ratios: 1.0 aspect_ratios: 4.0
        height_stride: 16
        width_stride: 16
      }
    }
  }
}
train_config: {
  batch_size: 64
  num_steps: 25000
  optimizer {
    momentum_optimizer: {
      learning_rate: {
        cosine_decay_learning_rate {
          learning_rate_base: .04
          total_steps: 25000
          warmup_learning_rate: .013333
          warmup_steps: 2000
        }
      }
      momentum_optimizer_value: 0.9
    }
    use_moving_average: false
  }
  gradient_clipping_by_norm: 10.0
  fine_tune_checkpoint: "PATH_TO_BE_CONFIGURED"
}
"""


def read(text: str) -> Imported:
    return read_tf_od(text, Path("pipeline.config"), gpus=1, images=100)


def test_a_stepped_schedule_and_levels_of_their_own():
    imported = read(TEXT)
    own = trial_zero(imported).hyperparameters
    assert own.learning_rate == 0.08
    assert own.warmup_fraction == 100 / 2000  # the first step is where warm-up ends
    assert own.warmup_factor == pytest.approx(0.001 / 0.08)
    assert own.decay_boundaries == (0.75,)
    assert own.decay_factor == pytest.approx(0.1)
    assert own.anchors.sizes_px == ((16,), (32,), (64,), (128,), (256,))  # 4 · 2^level, levels 2 to 6
    assert own.anchors.ratios == (2.0, 1.0, 0.5)  # theirs are width / height
    assert own.clip_norm == NO_CLIPPING
    assert own.weight_decay == 1e-4
    assert own.detection_nms_iou == 0.6
    assert imported.resize is not None
    assert imported.resize.value == Resize(short_px=(128,), most_long_px=256)


def test_the_shipped_kind_has_one_map_and_a_cosine_and_both_are_said():
    imported = read(SHIPPED)
    # scales of 256 px: 64 → P3, 128 → P4, 256 → P5, 512 → P6; P2 gets the nearest again
    own = trial_zero(imported).hyperparameters
    assert own.anchors.sizes_px == ((64,), (64,), (128,), (256,), (512,))
    assert own.anchors.ratios == (2.0, 1.0, 0.25)
    assert own.optimizer is Optimizer.SGD
    assert own.learning_rate == 0.04
    assert own.warmup_fraction == 2000 / 25_000
    assert own.warmup_factor == pytest.approx(1 / 3, rel=1e-3)
    assert own.decay_boundaries == ()
    assert own.clip_norm == 10
    assert imported.norm_trains.value
    assert imported.backbone.name is BackboneName.RESNET101
    assert {each.what for each in imported.differences} == {
        "one map of stride 16", "images stretched to one shape",
        "cosine_decay_learning_rate",
    }  # fmt: skip
    assert imported.resize is not None
    assert imported.resize.value.frame == Canvas(height_px=640, width_px=640)


@pytest.mark.parametrize(
    ("kind", "name", "words"),
    [
        ("faster_rcnn_resnet50_fpn_keras", BackboneName.RESNET50, "ResNet-50"),
        ("faster_rcnn_resnet101", BackboneName.RESNET101, "ResNet-101"),
        ("faster_rcnn_resnet152_fpn_keras", None, "ResNet-152"),
        ("faster_rcnn_inception_resnet_v2_keras", None, "the backbone faster_rcnn_inception_resnet_v2_keras"),
    ],
)
def test_a_plain_resnet_is_the_study_s_and_another_backbone_is_said(kind, name, words):
    imported = read(TEXT.replace("faster_rcnn_resnet50_fpn_keras", kind))
    assert imported.backbone.name is name
    assert [(each.what, each.instead) for each in imported.differences] == ([] if name else [(words, "ResNet-50")])


def test_a_flexible_grid_has_paired_lists():
    grids = "\n".join(
        f"anchor_grid {{ base_sizes: [{size}, {size}, {2 * size}, {2 * size}] aspect_ratios: [0.5, 2.0, 0.5, 2.0] "
        f"height_stride: {stride} width_stride: {stride} }}"
        for size, stride in ((8, 4), (16, 8), (32, 16), (64, 32), (128, 64))
    )
    text = TEXT.replace("multiscale_anchor_generator", "flexible_grid_anchor_generator")
    start = text.index("flexible_grid_anchor_generator {")
    stop = text.index("}", start)
    anchors = trial_zero(read(text[:start] + "flexible_grid_anchor_generator {" + grids + text[stop:])).hyperparameters
    assert anchors.anchors.sizes_px == ((8, 16), (16, 32), (32, 64), (64, 128), (128, 256))
    assert anchors.anchors.ratios == (2.0, 0.5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model { ssd { } }", "must have a model.faster_rcnn, but has ssd"),
        ("model { faster_rcnn { } } train_config { }", "optimizer must have one of"),
        (TEXT.replace("num_classes: 3", 'num_classes: "three"'), r"num_classes \(line 4\) must be a finite number"),
        (TEXT.replace("min_level: 2", "min_level: 9"), "must be a level"),
        (TEXT.replace("[0.5, 1.0, 2.0]", "[0.5, 0]"), "must be positive numbers"),
        ("model { faster_rcnn {", "ends in the middle|must stand in place of the end"),
        ("model ? 3", "line 1: nothing of a pipeline.config begins with"),
        ("model: }", "a value must stand in place"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(text, message):
    with pytest.raises(ConfigError, match=message):
        read(text)


def test_the_text_format_is_read_as_protobuf_reads_it():
    values, spans = parse_prototext(
        "# a comment: {\n"
        "a: 1; b: -2.5e1, c: true\n"
        "d < e: ENUM_VALUE >\n"
        "f: \"two\" ' pieces'  # joined\n"
        "g: 1 g: 2\n"
        "h: [3]\n"
        "i: [{j: 1}, {j: 2}]\n"
        "k: 1.5f l: 0x10 m: 'it\\'s'\n"
        "[an.extension] { n: 1 }\n",
        "x",
    )
    assert values == {
        "a": 1, "b": -25.0, "c": True, "d": {"e": "ENUM_VALUE"}, "f": "two pieces", "g": [1, 2], "h": [3],
        "i": [{"j": 1}, {"j": 2}], "k": 1.5, "l": 16, "m": "it's", "[an.extension]": {"n": 1},
    }  # fmt: skip
    assert (spans["d.e"].line, spans["g[1]"].line, spans["i[1].j"].line) == (3, 5, 7)


def test_the_parser_agrees_with_protobuf():
    text_format = pytest.importorskip("google.protobuf.text_format")
    struct = pytest.importorskip("google.protobuf.struct_pb2")
    text = (
        'fields { key: "a" value { number_value: 2.5 } } '
        'fields { key: "b" value { list_value { values { bool_value: true } } } }'
    )
    message = text_format.Parse(text, struct.Struct())
    values, _ = parse_prototext(text, "x")
    theirs = {each["key"]: each["value"] for each in values["fields"]}
    assert theirs["a"]["number_value"] == message.fields["a"].number_value
    assert theirs["b"]["list_value"]["values"]["bool_value"] is message.fields["b"].list_value.values[0].bool_value
    again, _ = parse_prototext(text_format.MessageToString(message), "x")
    assert sorted(map(str, again["fields"])) == sorted(map(str, values["fields"]))
