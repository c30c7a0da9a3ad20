"""What trained weights can be written as: a new format is a writer, and a row here."""

from collections.abc import Callable, Mapping
from pathlib import Path

from detector.config import ConfigError, require
from detector.similar_path import did_you_mean
from search.export.framework_weights import export_to_detectron2, export_to_torchvision
from search.export.graph_files import write_keras, write_onnx, write_saved_model

Writer = Callable[[Path, Path], str]  # of the weights, into the output; what was written, in a line

WEIGHT_FORMATS: Mapping[str, Writer] = {
    "torchvision": export_to_torchvision,
    "detectron2": export_to_detectron2,
    "savedmodel": write_saved_model,
    "onnx": write_onnx,
    "keras": write_keras,
}


def export_weights(weights: Path, output: Path, *, format: str) -> str:
    """Write trained weights in another format, and say in one line what was written.

    Raises:
        ConfigError: there is no such format, the weights cannot be used, or something is there already.
    """
    require(format in WEIGHT_FORMATS, f"--weights must be one of {', '.join(WEIGHT_FORMATS)}, but is {format!r}")
    require(weights.is_file(), f"{weights}: there is no such file{did_you_mean(weights)}; --from names trained weights")
    require(not output.exists(), f"{output} is there already; choose another --output, or move it away")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        return WEIGHT_FORMATS[format](weights, output)
    except OSError as error:
        raise ConfigError(f"{output} cannot be written ({error.strerror}); choose another --output") from error
