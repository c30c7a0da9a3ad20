"""A trained detector's layers as a `.keras` file, which Keras loads without this package.

Keras holds layers: backbone, pyramid and heads. What lies between them (anchors, suppression, RoIAlign) is in no layer,
so the outputs are raw, and pooled features are a second input.
"""

import warnings
import zipfile
from pathlib import Path

import keras

from detector.boxes import Tensor
from detector.detector_facts import DetectorFacts
from detector.network.network import CHANNELS, POOLED, Network
from detector.training.graphs.detection_graph import network_of
from detector.training.graphs.model_facts import FACTS_FILE, facts_text
from detector.whole_file import write_whole


def write_keras(facts: DetectorFacts, weights: Path, output: Path) -> None:
    """Write the file; it appears complete or not at all. What it says of itself is a member, `FACTS_FILE`.

    Raises:
        ConfigError: the file does not hold this detector's weights.
        OSError: the file cannot be written.
    """
    model = layers_of(network_of(facts.shape, weights), facts)

    def write(unfinished: Path) -> None:
        named = unfinished.with_name(f"{unfinished.name}.keras")  # Keras takes no other suffix
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # Keras's own, of NumPy 2
                model.save(named)
            with zipfile.ZipFile(named, "a") as archive:
                archive.writestr(FACTS_FILE, facts_text(facts))
            named.rename(unfinished)
        finally:
            named.unlink(missing_ok=True)

    write_whole(output, write)


def layers_of(network: Network, facts: DetectorFacts) -> keras.Model:
    """`images` [B, H, W, 3], RGB of 0 … 255 on the canvas, to the pyramid and the RPN's outputs of each level, and
    `pooled` [N, 7·7·256] to the box head's outputs."""
    canvas = facts.shape.canvas
    images = keras.Input((canvas.height_px, canvas.width_px, 3), name="images")
    pooled = keras.Input((POOLED * POOLED * CHANNELS,), name="pooled")
    outputs: dict[str, Tensor] = {}
    for level, features in enumerate(network.pyramid(network.backbone(network.kind.preprocess(images))), start=2):
        logits, deltas = network.rpn(features)
        outputs |= {f"p{level}": features, f"rpn_logits_p{level}": logits, f"rpn_deltas_p{level}": deltas}
    class_logits, box_deltas = network.box_head(pooled)
    outputs |= {"class_logits": class_logits, "box_deltas": box_deltas}
    return keras.Model({"images": images, "pooled": pooled}, outputs, name="detector")
