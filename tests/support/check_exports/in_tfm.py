"""One case in TensorFlow's Model Garden: python in_tfm.py FOLDER."""

import os

os.environ |= {"TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}

import numpy as np
import tensorflow as tf
from judge import case, tell


def main() -> None:
    """Anchors of the whole canvas, the rate at each expected iteration, one step on a made image."""
    given = case()
    from official.core import exp_factory
    from official.modeling import hyperparams, optimization
    from official.vision.configs import maskrcnn  # noqa: F401, registers the experiment
    from official.vision.dataloaders import maskrcnn_input
    from official.vision.ops import anchor
    from official.vision.tasks import maskrcnn as tasks

    config = exp_factory.get_exp_config("fasterrcnn_resnetfpn_coco")
    config = hyperparams.override_params_dict(config, str(given.folder / "tfm.yaml"), is_strict=True)
    config.validate()
    config.lock()
    model_config = config.task.model
    own = model_config.anchor
    size = model_config.input_size[:2]
    built = anchor.Anchor(2, 6, own.num_scales, own.aspect_ratios, own.anchor_size, size)
    levels = [
        boxes.numpy()[: cells[0], : cells[1]].reshape(-1, 4)
        for boxes, cells in zip(built.multilevel_boxes.values(), given.levels, strict=False)
    ]
    anchors = np.concatenate(levels)
    expected = given.anchors
    relative = np.log((anchors[:, 2:] - anchors[:, :2]) / (expected[:, 2:] - expected[:, :2]))
    moved = np.abs((anchors[:, 2:] + anchors[:, :2] - expected[:, 2:] - expected[:, :2]) / 2).max()

    factory = optimization.OptimizerFactory(config.trainer.optimizer_config)
    rate = factory.build_learning_rate()
    optimizer = factory.build_optimizer(rate)

    task = tasks.MaskRCNNTask(config.task)
    model = task.build_model()
    parser = maskrcnn_input.Parser(
        output_size=size, min_level=2, max_level=6, num_scales=own.num_scales, aspect_ratios=own.aspect_ratios,
        anchor_size=own.anchor_size, include_mask=False, dtype="float32",
        rpn_match_threshold=config.task.train_data.parser.rpn_match_threshold,
        rpn_unmatched_threshold=config.task.train_data.parser.rpn_unmatched_threshold,
    )  # fmt: skip
    picture = tf.cast(tf.random.stateless_uniform((*given.canvas, 3), (0, 1), 0, 255), tf.uint8)
    boxes = tf.constant([[0.1, 0.2, 0.5, 0.6]])
    data = {
        "image": picture, "height": given.canvas[0], "width": given.canvas[1], "source_id": tf.constant("1"),
        "groundtruth_boxes": boxes, "groundtruth_classes": tf.constant([1], tf.int64),
        "groundtruth_is_crowd": tf.constant([False]), "groundtruth_area": tf.constant([100.0]),
    }  # fmt: skip
    images, labels = parser._parse_train_data(data)
    batch = tf.nest.map_structure(lambda each: tf.stack([each]), (images, labels))
    logs = task.train_step(batch, model, optimizer, metrics=task.build_metrics(training=True))

    def rate_of(iteration: int) -> float:
        return float(rate(iteration)) if callable(rate) else float(rate)

    tell(
        version="2.20.0",
        anchor_size_error=float(np.exp(np.abs(relative).max()) - 1),
        anchor_error_px=float(moved),
        whole_warmup_rate_error=given.rate_error(rate_of),
        loss=float(logs["loss"]),
    )


main()
