"""A YAML file of TensorFlow's Model Garden, over its experiment fasterrcnn_resnetfpn_coco."""

import math
import shlex
from typing import Any

from detector.config import Anchors, Optimizer, Precision, require
from search.export.frameworks.fidelity import EXACT, Fidelity, Note, approximate, exact, not_expressed, unless
from search.export.frameworks.framework import Framework, Texts
from search.export.frameworks.geometry import require_anchors_amid_cells
from search.export.frameworks.recipe import Recipe
from search.export.frameworks.tensorflow_notes import training_notes, unsaid
from search.export.frameworks.yaml_file import yaml_file

FILE = "tfm.yaml"
EXPERIMENT = "fasterrcnn_resnetfpn_coco"
INPUT_MULTIPLE_PX = 64  # the stride of P6: another input is built, and fails in the first step
MOST_SIZE_ERROR = 0.1  # two boxes of which one's sides are a tenth longer overlap by 0.83: still the same anchor
SAME = 1e-6
FLIP = 0.5  # the only one there is
WHOLE_BACKBONE = 5

EXACT_KEYS = (
    "anchors.ratios", "optimizer", "lr_per_16", "warmup_factor", "decay_boundaries", "decay_factor", "clip_norm",
    "batch_size", "rpn_positive_iou", "rpn_negative_iou", "rpn_positive_fraction", "roi_positive_iou",
    "roi_positive_fraction", "proposal_nms_iou", "detection_nms_iou", "score_threshold", "detector.proposals",
    "detector.roi_samples",
)  # fmt: skip


def _anchor_size(recipe: Recipe) -> tuple[float, float]:
    """The one size, in strides, that stands for all, and by which share sizes are off at most.

    Level l has the sizes anchor_size · 2^l · 2^(i/n): always one octave, the same in all levels.

    Raises:
        ConfigError: they are off so far that it would be another detector.
    """
    rows = [sorted(row) for row in recipe.sizes_in_strides]
    logs = [math.log2(size) - i / len(row) for row in rows for i, size in enumerate(row)]
    middle = (max(logs) + min(logs)) / 2  # the least of all largest errors
    error = 2 ** (max(logs) - middle) - 1
    require(
        error <= MOST_SIZE_ERROR,
        f"tfm spaces the anchors of a level evenly over one octave, alike on all levels, so its sizes would be off by "
        f"{error:.0%} and it would be another detector; export detectron2, torchvision or tf-od",
    )
    return 2**middle, error


def _anchor_note(recipe: Recipe) -> Note:
    _, error = _anchor_size(recipe)
    return unless(error < SAME, approximate(f"one octave a level: sizes are off by at most {error:.2%}"))


def input_px(side_px: int) -> int:
    """The side that the framework can take, at least as long."""
    return math.ceil(side_px / INPUT_MULTIPLE_PX) * INPUT_MULTIPLE_PX


def fidelity(recipe: Recipe) -> Fidelity:
    """Anchors where their spacing allows it, schedule, counts and thresholds; the network is another."""
    require_anchors_amid_cells(recipe.configuration.detector, recipe.geometry, "tfm")
    ours, detector = recipe.hyperparameters, recipe.configuration.detector
    change, canvas = ours.augmentation, detector.canvas
    size = f"{input_px(canvas.height_px)}x{input_px(canvas.width_px)}"
    frozen = recipe.counts.frozen_stages
    return exact(EXACT_KEYS) | training_notes(recipe) | {
        "anchors.sizes_px": _anchor_note(recipe),
        "augmentation.flip_probability": unless(
            change.flip_probability in (0, FLIP), approximate(f"{FLIP:g}, the only one there is")
        ),
        "augmentation.scale": unless(change.scale == 0, approximate("uniform, and the window is shifted at random")),
        "augmentation.crop": unsaid(change.crop),
        "augmentation.rotation_deg": unsaid(change.rotation_deg),
        "augmentation.brightness": unsaid(change.brightness),
        "augmentation.contrast": unsaid(change.contrast),
        "augmentation.hue": unsaid(change.hue),
        "augmentation.saturation": unsaid(change.saturation),
        "augmentation.visible_share": unless(change.scale == 0, not_expressed("boxes count while anything is seen")),
        "detector.canvas": unless(
            size == str(canvas), approximate(f"{size}, the next multiple of {INPUT_MULTIPLE_PX}")
        ),
        "detector.backbone": approximate(
            f"its own {recipe.resnet.title}, with pixels of its own and batch norm that trains"
        ),
        "detector.precision": unless(
            detector.precision is Precision.FLOAT32, approximate("Keras's mixed_bfloat16 chooses which layers")
        ),
        "detector.frozen_stages": EXACT
        if frozen in (0, WHOLE_BACKBONE)
        else not_expressed("all stages train: it freezes the whole backbone or nothing"),
    }  # fmt: skip


def _model(recipe: Recipe) -> dict[str, Any]:
    ours, counts, canvas = recipe.hyperparameters, recipe.counts, recipe.configuration.detector.canvas
    anchors: Anchors = ours.anchors
    nms = ours.proposal_nms_iou
    return {
        "num_classes": len(recipe.configuration.classes) + 1,
        "input_size": [input_px(canvas.height_px), input_px(canvas.width_px), 3],
        "min_level": 2,
        "max_level": 6,
        "include_mask": False,
        "anchor": {
            "anchor_size": _anchor_size(recipe)[0],
            "num_scales": len(anchors.sizes_px[0]),
            "aspect_ratios": [1 / ratio for ratio in anchors.ratios],  # width / height
        },
        "backbone": {"type": "resnet", "resnet": {"model_id": recipe.resnet.depth}},
        "rpn_head": {"num_convs": 1, "num_filters": 256},
        "detection_head": {"num_convs": 0, "num_fcs": 2, "fc_dims": 1024},
        "roi_generator": {
            "pre_nms_top_k": counts.pre_nms_train,
            "num_proposals": counts.proposals_train,
            "nms_iou_threshold": nms,
            "pre_nms_score_threshold": 0.0,
            "test_pre_nms_top_k": counts.pre_nms_test,
            "test_num_proposals": counts.proposals_test,
            "test_nms_iou_threshold": nms,
            "test_pre_nms_score_threshold": 0.0,
        },
        "roi_sampler": {
            "mix_gt_boxes": True,
            "num_sampled_rois": counts.roi_samples,
            "foreground_fraction": ours.roi_positive_fraction,
            "foreground_iou_threshold": ours.roi_positive_iou,
            "background_iou_high_threshold": ours.roi_positive_iou,
            "background_iou_low_threshold": 0.0,
        },
        "detection_generator": {
            "pre_nms_score_threshold": ours.score_threshold,
            "nms_iou_threshold": ours.detection_nms_iou,
            "max_num_detections": counts.detections,
        },
        "norm_activation": {"use_sync_bn": False},
    }


def _data(recipe: Recipe, part: str, *, trains: bool) -> dict[str, Any]:
    ours = recipe.hyperparameters
    change = ours.augmentation
    parser = {
        "aug_rand_hflip": change.flip_probability > 0,
        "aug_scale_min": 1 / (1 + change.scale),
        "aug_scale_max": 1 + change.scale,
        "rpn_match_threshold": ours.rpn_positive_iou,
        "rpn_unmatched_threshold": ours.rpn_negative_iou,
        "rpn_batch_size_per_im": recipe.counts.anchor_samples,
        "rpn_fg_fraction": ours.rpn_positive_fraction,
    }
    return {
        "input_path": f"{part}-*.tfrecord",
        "is_training": trains,
        "global_batch_size": recipe.batch_size if trains else 1,
        "drop_remainder": trains,
        "dtype": "float32",
        **({"parser": parser} if trains else {}),
    }


def _optimizer(recipe: Recipe) -> dict[str, Any]:
    ours = recipe.hyperparameters
    clip = {"global_clipnorm": ours.clip_norm}
    if ours.optimizer is Optimizer.ADAM:
        return {"type": "adam", "adam": {"beta_1": ours.momentum, "beta_2": 0.999, "epsilon": 1e-8, **clip}}
    return {"type": "sgd", "sgd": {"momentum": ours.momentum, **clip}}


def _rates(recipe: Recipe) -> dict[str, Any]:
    """Keras holds the old rate up to and including a boundary; a schedule without any is a constant."""
    peak, steps = recipe.hyperparameters.learning_rate, recipe.rate_steps
    rate: dict[str, Any] = {"type": "constant", "constant": {"learning_rate": peak}}
    if steps:
        values = [peak, *(peak * factor for _, factor in steps)]
        rate = {"type": "stepwise", "stepwise": {"boundaries": [first - 1 for first, _ in steps], "values": values}}
    warmup = recipe.whole_warmup_iterations
    linear = {"warmup_steps": warmup, "warmup_learning_rate": peak * recipe.hyperparameters.warmup_factor}
    return {
        "optimizer": _optimizer(recipe),
        "learning_rate": rate,
        "warmup": {"type": "linear", "linear": linear} if warmup else {"type": None},
    }


def _document(recipe: Recipe) -> dict[str, Any]:
    half = recipe.configuration.detector.precision is Precision.BFLOAT16
    every = max(1, recipe.iterations // 10)
    return {
        "runtime": {"mixed_precision_dtype": "bfloat16" if half else "float32", "distribution_strategy": "mirrored"},
        "task": {
            "model": _model(recipe),
            "losses": {"l2_weight_decay": recipe.hyperparameters.weight_decay},  # which the task halves
            "train_data": _data(recipe, "train", trains=True),
            "validation_data": _data(recipe, "validation", trains=False),
            "annotation_file": recipe.validation.annotations,
            "init_checkpoint": None,
            "freeze_backbone": recipe.counts.frozen_stages == WHOLE_BACKBONE,
        },
        "trainer": {
            "train_steps": recipe.iterations,
            "validation_steps": recipe.validation.count,
            "validation_interval": every,
            "steps_per_loop": every,
            "summary_interval": every,
            "checkpoint_interval": every,
            "optimizer_config": _rates(recipe),
        },
    }


def texts(recipe: Recipe, name: str) -> Texts:
    """The one file."""
    return {name: yaml_file(_document(recipe))}


def command(recipe: Recipe, name: str) -> str:
    """Writes the records, then trains."""
    records = [
        "python -m official.vision.data.create_coco_tf_record "
        f"--image_dir={shlex.quote(split.images)} --object_annotations_file={shlex.quote(split.annotations)} "
        f"--output_file_prefix={part} --num_shards=1"
        for part, split in (("train", recipe.train), ("validation", recipe.validation))
    ]
    train = (
        f"python -m official.vision.train --experiment={EXPERIMENT} --mode=train_and_eval "
        f"--config_file={shlex.quote(name)} --model_dir=trained"
    )
    return " && ".join((*records, train))


TFM = Framework(
    format="tfm",
    title="TensorFlow's Model Garden",
    version="2.20.0",
    files=(FILE,),
    command=command,
    fidelity=fidelity,
    texts=texts,
)
