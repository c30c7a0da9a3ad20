"""A trained detector as an ONNX file of standard operators, which onnxruntime runs on a CPU."""

import json
import warnings
from pathlib import Path
from typing import Any

import tensorflow as tf

from detector.config import ConfigError, Precision
from detector.detector_facts import DetectorFacts
from detector.training.graphs.detection_graph import DetectionGraph
from detector.training.graphs.model_facts import facts_of_model
from detector.whole_file import write_whole

OPSET = 18  # the newest that the converter knows; runtimes of 2023 have it


def write_onnx(facts: DetectorFacts, weights: Path, output: Path) -> None:
    """Write the file; it appears complete or not at all. What it says of itself are its `metadata_props`, as JSON.

    It computes in float32, whatever the detector was trained in: onnxruntime has no bfloat16 on CPUs.

    Raises:
        ConfigError: the file does not hold this detector's weights, or a package is missing.
        OSError: the file cannot be written.
    """
    onnx, tf2onnx = _packages()
    graph = DetectionGraph(facts, weights, precision=Precision.FLOAT32)  # its function holds it weakly
    model = _converted(tf2onnx, graph.detect)
    stated = {name: json.dumps(value, ensure_ascii=False) for name, value in facts_of_model(facts).items()}
    onnx.helper.set_model_props(model, stated)
    onnx.checker.check_model(model)
    write_whole(output, lambda unfinished: unfinished.write_bytes(model.SerializeToString()))


def _packages() -> tuple[Any, Any]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of the converter, about its own parts
            import onnx
            import tf2onnx.optimizer
            import tf2onnx.tf_loader
            import tf2onnx.tfonnx
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"--weights onnx needs {error.name}, which is not installed: pip install tf2onnx onnx"
        ) from error
    return onnx, tf2onnx


def _converted(tf2onnx: Any, function: Any) -> Any:
    """The function as ONNX, by the names of its argument and results.

    The steps are those of `tf2onnx.convert.from_function`, which copies the weights at each of its forty passes.
    """
    concrete = function.get_concrete_function()
    inputs = [tensor.name for tensor in concrete.inputs if tensor.dtype != tf.resource]
    results = {tensor.name: name for name, tensor in concrete.structured_outputs.items()}
    names = {tensor.name: results[tensor.name] for tensor in concrete.outputs}
    frozen = tf2onnx.tf_loader.from_function(concrete, inputs, list(names))
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(frozen, name="")
        converted = tf2onnx.tfonnx.process_tf_graph(
            graph,
            opset=OPSET,
            input_names=inputs,
            output_names=list(names),
            tensors_to_rename={name: name.partition(":")[0] for name in inputs} | names,
        )
    return tf2onnx.optimizer.optimize_graph(converted, catch_errors=False).make_model("frcnn-search")
