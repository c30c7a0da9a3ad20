"""Trained weights as a model that runs without this package: a SavedModel, an ONNX file, a `.keras` file."""

from pathlib import Path

from search.export.weights_file import facts_of


def write_saved_model(weights: Path, output: Path) -> str:
    """Write a SavedModel, whole pictures in and objects out, and say in a line what it is.

    Raises:
        ConfigError: the weights cannot be used.
        OSError: the folder cannot be written.
    """
    facts = facts_of(weights)  # before Keras is loaded, which takes seconds
    from detector.training.graphs.saved_model import write_saved_model as write

    write(facts, weights, output)
    return _said(output, "a SavedModel, a picture of any size in and its objects out")


def write_onnx(weights: Path, output: Path) -> str:
    """Write an ONNX file of standard operators. Takes a minute or two, and raises as `write_saved_model`."""
    facts = facts_of(weights)
    from detector.training.graphs.onnx_file import write_onnx as write

    write(facts, weights, output)
    return _said(output, "an ONNX file, a picture of any size in and its objects out")


def write_keras(weights: Path, output: Path) -> str:
    """Write a `.keras` file of the layers alone. Raises as `write_saved_model`."""
    facts = facts_of(weights)
    from detector.training.graphs.keras_file import write_keras as write

    write(facts, weights, output)
    return _said(output, "the layers for Keras, with raw outputs")


def _said(output: Path, what: str) -> str:
    return f"wrote {output}: {what}; its classes stand in it (docs/exported_models.md)"
