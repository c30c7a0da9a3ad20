"""One case in the TensorFlow Object Detection API: python in_tf_od.py FOLDER."""

import os
import sys
import types
from pathlib import Path

os.environ |= {
    "TF_USE_LEGACY_KERAS": "1",
    "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}
for absent in ("tensorflow_io", "lvis"):
    sys.modules[absent] = types.ModuleType(absent)
sys.modules["lvis"].eval = sys.modules["lvis"].lvis = types.SimpleNamespace()

import numpy as np  # noqa: E402, after the variables that TensorFlow reads
import tensorflow as tf  # noqa: E402
from google.protobuf import text_format  # noqa: E402
from judge import case, tell  # noqa: E402


def main() -> None:
    """Anchors of the whole canvas, the rate at each expected iteration, one step on a made image."""
    given = case()
    os.chdir(given.folder)
    from object_detection.builders import anchor_generator_builder, model_builder, optimizer_builder
    from object_detection.protos import pipeline_pb2
    from object_detection.protos import string_int_label_map_pb2 as label_map

    pipeline = text_format.Parse(Path("pipeline.config").read_text(), pipeline_pb2.TrainEvalPipelineConfig())
    names = text_format.Parse(Path("label_map.pbtxt").read_text(), label_map.StringIntLabelMap())
    assert [each.name for each in names.item] == given.facts["classes"]
    built = anchor_generator_builder.build(pipeline.model.faster_rcnn.first_stage_anchor_generator)
    found = built.generate(given.levels, im_height=given.canvas[0], im_width=given.canvas[1])
    anchors = np.concatenate([boxes.get().numpy() for boxes in found])

    step = tf.Variable(0, dtype=tf.int64)
    optimizer, (rate,) = optimizer_builder.build(pipeline.train_config.optimizer, global_step=step)
    tf.keras.backend.set_learning_phase(True)  # as model_lib_v2 does: batch norm trains
    model = model_builder.build(pipeline.model, is_training=True)
    classes = len(given.facts["classes"])
    side = max(given.canvas)
    picture = tf.random.stateless_uniform((1, *given.canvas, 3), (0, 1), 0, 255)
    image, shape = model.preprocess(picture)
    with tf.GradientTape() as tape:
        model.provide_groundtruth(
            groundtruth_boxes_list=[tf.constant([[0.1, 0.2, 0.5, 0.6]])],
            groundtruth_classes_list=[tf.one_hot([0], classes)],
        )
        predicted = model.predict(image, shape)
        loss = tf.add_n(list(model.loss(predicted, shape).values())) + tf.add_n(model.regularization_losses())
    gradients = tape.gradient(loss, model.trainable_variables)
    gradients, norm = tf.clip_by_global_norm(gradients, pipeline.train_config.gradient_clipping_by_norm)
    assert tuple(image.shape[1:3]) == (side, side), image.shape
    optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=False))

    def rate_of(iteration: int) -> float:
        step.assign(iteration)
        return float(rate() if callable(rate) else rate)

    tell(
        version="2.8.0.post1",
        anchor_error_px=given.anchor_error_px(anchors),
        whole_warmup_rate_error=given.rate_error(rate_of),
        loss=float(loss),
        gradient=float(norm),
    )


main()
