"""A trained detector as a SavedModel, which TensorFlow loads without this package."""

import secrets
import shutil
import tempfile
from pathlib import Path

import tensorflow as tf

from detector.detector_facts import DetectorFacts
from detector.training.graphs.detection_graph import DetectionGraph
from detector.training.graphs.model_facts import FACTS_FILE, facts_text


def write_saved_model(facts: DetectorFacts, weights: Path, output: Path) -> None:
    """Write the folder; it appears complete or not at all. What it says of itself is an asset, `FACTS_FILE`.

    Raises:
        ConfigError: the file does not hold this detector's weights.
        OSError: the folder cannot be written.
    """
    graph = DetectionGraph(facts, weights)
    with tempfile.TemporaryDirectory() as folder:
        asset = Path(folder) / FACTS_FILE
        asset.write_text(facts_text(facts), encoding="utf-8")
        graph.facts = tf.saved_model.Asset(str(asset))
        unfinished = output.with_name(f".{output.name}.{secrets.token_hex(4)}")
        try:
            tf.saved_model.save(graph, str(unfinished), signatures=graph.detect)
            unfinished.rename(output)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
