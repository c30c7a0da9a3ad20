"""What is easily written wrongly for a framework, one by one."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest
import yaml

from detector.config import Anchors, BackboneName, ConfigError, Detector, Optimizer
from search.export.frameworks.exporting import FRAMEWORKS
from search.export.frameworks.recipe import Recipe
from search.export.frameworks.tfm import input_px
from tests.search.export.frameworks.conftest import recipe
from tests.support.export_cases import CASES
from tests.support.framework_files import protobuf_values, python_values

RATIOS = (0.37, 1.1, 2.9)


def texts(format: str, made: Recipe) -> dict[str, str]:
    framework = FRAMEWORKS[format]
    return dict(framework.texts(made, framework.files[0]))


def changed(name: str, detector: dict[str, Any] | None = None, **values: Any) -> Recipe:
    of = recipe(name)
    made = replace(
        of.configuration,
        hyperparameters=replace(of.hyperparameters, **values),
        detector=replace(of.configuration.detector, **(detector or {})),
    )
    return replace(of, configuration=made)


def detectron2(made: Recipe) -> dict[str, Any]:
    return yaml.safe_load(texts("detectron2", made)["detectron2.yaml"])


def mmdet(made: Recipe) -> dict[str, Any]:
    return python_values(texts("mmdet", made)["mmdet_config.py"])


def tf_od(made: Recipe) -> dict[str, Any]:
    return protobuf_values(texts("tf-od", made)["pipeline.config"])


def tfm(made: Recipe) -> dict[str, Any]:
    return yaml.safe_load(texts("tfm", made)["tfm.yaml"])


def test_ratios_are_height_to_width_but_the_reverse_in_both_of_tensorflow(awkward: Recipe) -> None:
    assert tuple(detectron2(awkward)["MODEL"]["ANCHOR_GENERATOR"]["ASPECT_RATIOS"][0]) == RATIOS
    assert tuple(mmdet(awkward)["model"]["rpn_head"]["anchor_generator"]["ratios"]) == RATIOS
    reverse = tuple(1 / ratio for ratio in RATIOS)
    assert tuple(tfm(awkward)["task"]["model"]["anchor"]["aspect_ratios"]) == reverse
    (generator,) = tf_od(awkward)["model"][0]["faster_rcnn"][0]["first_stage_anchor_generator"]
    grid = generator["flexible_grid_anchor_generator"][0]["anchor_grid"][0]
    assert tuple(grid["aspect_ratios"]) == reverse * 3  # paired with the sizes, an entry an anchor
    assert len(grid["base_sizes"]) == 9


def test_a_warm_up_of_nothing_has_no_entry() -> None:
    made = changed("defaults", warmup_fraction=0.0)
    assert [each["type"] for each in mmdet(made)["param_scheduler"]] == ["MultiStepLR"]
    assert tfm(made)["trainer"]["optimizer_config"]["warmup"] == {"type": None}
    assert detectron2(made)["SOLVER"]["WARMUP_ITERS"] == 0


def test_mmengine_s_warm_up_ends_one_iteration_later_and_never_starts_at_nothing() -> None:
    (warmup, _) = mmdet(changed("defaults", warmup_factor=0.0))["param_scheduler"]
    assert (warmup["end"], warmup["start_factor"]) == (991, 1e-8)


def test_tensorflow_s_boundary_is_the_last_iteration_of_the_old_rate() -> None:
    steps = tfm(recipe("defaults"))["trainer"]["optimizer_config"]["learning_rate"]["stepwise"]
    assert steps["boundaries"] == [59_999, 79_999]


def test_levels_that_are_not_proportional_are_refused_where_one_list_serves_all() -> None:
    for format in ("mmdet", "tfm"):
        with pytest.raises(ConfigError, match=r"another detector; export detectron2"):
            FRAMEWORKS[format].fidelity(recipe("adam"))


def test_one_size_a_level_is_exact_in_mmdet_whatever_it_is() -> None:
    anchors = Anchors(sizes_px=((9.5,), (25.0,), (60.0,), (101.0,), (190.0,)))
    generator = mmdet(changed("defaults", anchors=anchors))["model"]["rpn_head"]["anchor_generator"]
    assert (generator["base_sizes"], generator["scales"]) == ([9.5, 25.0, 60.0, 101.0, 190.0], [1.0])


def test_detectron2_s_file_never_clips_and_its_script_clips_all_gradients_together(awkward: Recipe) -> None:
    assert detectron2(awkward)["SOLVER"]["CLIP_GRADIENTS"] == {"ENABLED": False}
    made = texts("detectron2", awkward)
    assert python_values(made["detectron2_train.py"])["TRAINING"]["clip_norm"] == 11.3
    assert "clip_grad_norm_(model.parameters()" in made["frcnn_training.py"]


@pytest.mark.parametrize(("stages", "theirs"), [(0, -1), (2, 1), (5, 4)])
def test_mmdet_counts_frozen_stages_from_the_stem_as_0(stages: int, theirs: int) -> None:
    made = changed("defaults", detector={"weights": "imagenet", "frozen_stages": stages})
    backbone = mmdet(made)["model"]["backbone"]
    assert (backbone["frozen_stages"], backbone["style"]) == (theirs, "caffe")
    assert backbone["norm_cfg"] == {"type": "BN", "requires_grad": False}
    assert backbone["norm_eval"] is True
    assert detectron2(made)["MODEL"]["BACKBONE"]["FREEZE_AT"] == stages


@pytest.mark.parametrize(
    ("backbone", "depth", "channels"),
    [
        (BackboneName.RESNET18, 18, [64, 128, 256, 512]),
        (BackboneName.RESNET34, 34, [64, 128, 256, 512]),
        (BackboneName.RESNET50, 50, [256, 512, 1024, 2048]),
        (BackboneName.RESNET101, 101, [256, 512, 1024, 2048]),
    ],
)
def test_a_backbone_s_depth_stands_with_the_channels_that_it_has(
    backbone: BackboneName, depth: int, channels: list[int]
) -> None:
    made = changed("defaults", detector={"backbone": backbone})
    resnets = detectron2(made)["MODEL"]["RESNETS"]
    assert (resnets["DEPTH"], resnets["RES2_OUT_CHANNELS"]) == (depth, channels[0])
    assert (mmdet(made)["model"]["backbone"]["depth"], mmdet(made)["model"]["neck"]["in_channels"]) == (depth, channels)
    assert tfm(made)["task"]["model"]["backbone"] == {"type": "resnet", "resnet": {"model_id": depth}}
    script = python_values(texts("torchvision", made)["torchvision_train.py"])
    assert script["MODEL"]["backbone"] == f"resnet{depth}"


def test_a_basic_block_has_no_1x1_convolution_to_halve_its_map_in() -> None:
    for backbone, first in ((BackboneName.RESNET18, False), (BackboneName.RESNET101, True)):
        made = changed("defaults", detector={"backbone": backbone})
        assert detectron2(made)["MODEL"]["RESNETS"]["STRIDE_IN_1X1"] is first
        assert python_values(texts("torchvision", made)["torchvision_train.py"])["MODEL"]["stride_in_1x1"] is first


def test_of_a_deep_backbone_its_own_imagenet_weights_are_named() -> None:
    made = changed("defaults", detector={"backbone": BackboneName.RESNET101, "weights": "imagenet"})
    assert detectron2(made)["MODEL"]["WEIGHTS"] == "detectron2://ImageNetPretrained/MSRA/R-101.pkl"
    checkpoint = mmdet(made)["model"]["backbone"]["init_cfg"]["checkpoint"]
    assert checkpoint == "open-mmlab://detectron2/resnet101_caffe"


def test_the_object_detection_api_has_no_small_backbone() -> None:
    (model,) = tf_od(changed("defaults", detector={"backbone": BackboneName.RESNET101}))["model"]
    (extractor,) = model["faster_rcnn"][0]["feature_extractor"]
    assert extractor["type"] == [b"faster_rcnn_resnet101_fpn_keras"]
    for backbone, title in ((BackboneName.RESNET18, "ResNet-18"), (BackboneName.RESNET34, "ResNet-34")):
        with pytest.raises(ConfigError, match=f"tf-od has no {title}, so it would be another detector"):
            FRAMEWORKS["tf-od"].fidelity(changed("defaults", detector={"backbone": backbone}))


def test_a_box_without_any_overlap_is_matched_to_nothing_in_mmdet(awkward: Recipe) -> None:
    parts = mmdet(awkward)["model"]["train_cfg"]
    rpn, rcnn = parts["rpn"]["assigner"], parts["rcnn"]["assigner"]
    assert (rpn["pos_iou_thr"], rpn["neg_iou_thr"], rpn["min_pos_iou"]) == (0.66, 0.27, 0.001)
    assert (rcnn["pos_iou_thr"], rcnn["neg_iou_thr"], rcnn["min_pos_iou"]) == (0.47, 0.47, 0.47)


def test_proposals_and_rois_are_counted_by_the_canvas(awkward: Recipe) -> None:
    model = detectron2(awkward)["MODEL"]  # 96 × 128 px: the floors of 128 proposals and 64 RoIs
    assert (model["RPN"]["PRE_NMS_TOPK_TRAIN"], model["RPN"]["POST_NMS_TOPK_TRAIN"]) == (256, 128)
    assert model["ROI_HEADS"]["BATCH_SIZE_PER_IMAGE"] == 64
    assert mmdet(awkward)["model"]["train_cfg"]["rcnn"]["sampler"]["num"] == 64
    assert tf_od(awkward)["model"][0]["faster_rcnn"][0]["second_stage_batch_size"] == [64]
    assert tfm(awkward)["task"]["model"]["roi_sampler"]["num_sampled_rois"] == 64


def test_mmdet_s_canvas_is_a_letterbox(awkward: Recipe) -> None:
    pipeline = mmdet(awkward)["train_dataloader"]["dataset"]["pipeline"]
    assert pipeline[2] == {"type": "FixShapeResize", "width": 128, "height": 96, "keep_ratio": True}


@pytest.mark.parametrize(("side", "taken"), [(64, 64), (96, 128), (128, 128), (800, 832)])
def test_model_garden_s_input_is_a_multiple_of_64(side: int, taken: int) -> None:
    assert input_px(side) == taken


def test_model_garden_counts_the_background_and_starts_from_no_bucket(awkward: Recipe) -> None:
    document = tfm(awkward)
    task = document["task"]
    assert task["model"]["num_classes"] == 4
    assert task["model"]["input_size"] == [128, 128, 3]
    assert task["model"]["norm_activation"] == {"use_sync_bn": False}
    assert (task["init_checkpoint"], task["train_data"]["dtype"]) == (None, "float32")
    assert document["runtime"]["mixed_precision_dtype"] == "float32"


def test_weight_decay_is_written_as_it_is_where_the_framework_halves_it(awkward: Recipe) -> None:
    assert tfm(awkward)["task"]["losses"] == {"l2_weight_decay": 3.3e-5}
    (network,) = tf_od(awkward)["model"][0]["faster_rcnn"]
    parts = [
        network["feature_extractor"][0]["conv_hyperparams"],
        network["first_stage_box_predictor_conv_hyperparams"],
        network["second_stage_box_predictor"][0]["mask_rcnn_box_predictor"][0]["fc_hyperparams"],
    ]
    for (each,) in parts:
        assert each["regularizer"][0]["l2_regularizer"][0]["weight"] == [3.3e-5]


def test_the_object_detection_api_s_backbone_keeps_its_batch_norm(awkward: Recipe) -> None:
    (network,) = tf_od(awkward)["model"][0]["faster_rcnn"]
    (extractor,) = network["feature_extractor"]
    assert extractor["override_base_feature_extractor_hyperparams"] == ["true"]
    assert extractor["conv_hyperparams"][0]["batch_norm"][0]["scale"] == ["true"]


def test_classes_are_counted_and_labelled_as_each_framework_does(awkward: Recipe) -> None:
    assert detectron2(awkward)["MODEL"]["ROI_HEADS"]["NUM_CLASSES"] == 3
    assert mmdet(awkward)["model"]["roi_head"]["bbox_head"]["num_classes"] == 3
    items = protobuf_values(texts("tf-od", awkward)["label_map.pbtxt"])["item"]
    assert [(each["id"], each["name"]) for each in items] == [
        ([1], [b"disc"]),
        ([2], [b"square"]),
        ([3], [b"triangle"]),
    ]
    for loader in ("train_dataloader", "val_dataloader", "test_dataloader"):
        assert mmdet(awkward)[loader]["dataset"]["metainfo"] == {"classes": ["disc", "square", "triangle"]}


def test_adam_s_first_moment_is_the_momentum() -> None:
    made = replace(
        changed("defaults", optimizer=Optimizer.ADAM, momentum=0.85, lr_per_16=1e-4),
    )
    assert mmdet(made)["optim_wrapper"]["optimizer"]["betas"] == [0.85, 0.999]
    assert tfm(made)["trainer"]["optimizer_config"]["optimizer"]["adam"]["beta_1"] == 0.85


def test_small_numbers_are_numbers_to_a_loader_of_yaml_1_1() -> None:
    made = changed("defaults", lr_per_16=1e-5, batch_size=16)
    assert detectron2(made)["SOLVER"]["BASE_LR"] == 1e-5
    assert tfm(made)["trainer"]["optimizer_config"]["learning_rate"]["stepwise"]["values"][0] == 1e-5


@pytest.mark.parametrize("weights", ["none", "imagenet", "../secret/weights.h5"])
@pytest.mark.parametrize("format", FRAMEWORKS)
def test_no_file_names_a_host_a_bucket_or_an_absolute_path(format: str, weights: str) -> None:
    made = changed("defaults", detector={"weights": weights})
    for text in texts(format, made).values():
        assert not re.search(r"https?:|gs:|s3:|www\.|secret", text)
        assert not re.search(r"""["'\s=](/[\w.]+){2,}""", text)


HOSTILE = ("it's", 'a "b" \\ c', "line\nbreak", "# no: comment", "é中\u2028x", "\udcff half", "{0} %s ${x}", "- yes: [")


def hostile() -> Recipe:
    of = recipe("defaults")
    origin = replace(of.configuration.provenance, study="x\n'''\nimport os\n\"\"\"\u2028*/")
    images = '../it\'s a "folder"\n'
    made = replace(of.configuration, classes=HOSTILE, provenance=origin)
    return replace(of, configuration=made, train=replace(of.train, images=images))


def test_names_of_the_user_s_come_back_as_they_are_from_every_language() -> None:
    made = hostile()
    training = python_values(texts("torchvision", made)["torchvision_train.py"])["TRAINING"]
    assert tuple(training["classes"]) == HOSTILE
    assert training["train_images"] == made.train.images
    dataset = mmdet(made)["train_dataloader"]["dataset"]
    assert tuple(dataset["metainfo"]["classes"]) == HOSTILE
    assert dataset["data_prefix"]["img"] == made.train.images + "/"
    names = [each["name"][0] for each in protobuf_values(texts("tf-od", made)["label_map.pbtxt"])["item"]]
    assert names == [name.encode(errors="backslashreplace") for name in HOSTILE]


def test_google_s_own_parser_reads_the_label_map_as_it_was_meant() -> None:
    from google.protobuf import text_format
    from google.protobuf.struct_pb2 import Value

    from search.export.frameworks.protobuf_text import quoted

    for name in HOSTILE:
        read = text_format.Parse(f"string_value: {quoted(name)}", Value()).string_value
        assert read == name.encode(errors="backslashreplace").decode()


def test_what_stands_in_json_is_read_back(awkward: Recipe) -> None:
    entry = {key: str(note) for key, note in FRAMEWORKS["tf-od"].fidelity(awkward).items()}
    assert json.loads(json.dumps(entry))["rpn_positive_iou"] == "not expressed: fixed at 0.7 there"


def test_the_canvas_and_its_detector_are_the_trial_s() -> None:
    assert isinstance(CASES["awkward"].detector, Detector)
    settings = python_values(texts("torchvision", recipe("awkward"))["torchvision_train.py"])
    assert settings["TRAINING"]["canvas"] == [96, 128]
    assert settings["TRAINING"]["micro_batch"] == 4
    assert settings["MODEL"]["stride_in_1x1"] is True
