"""The layers of a Faster R-CNN: backbone, feature pyramid, RPN head, box head.

Shapes: B images, H × W canvas pixels, h × w cells of a level, A anchor slots per cell, R RoIs, K classes.
Only the layers live here; what happens between them (anchors, proposals, RoIs) is in `proposals` and `step`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import keras
from keras import initializers, layers

from detector.boxes import Tensor
from detector.config import StepShape
from detector.network.backbone import Backbone, backbone_of

CHANNELS = 256  # of every pyramid level
POOLED = 7  # cells of a pooled RoI on each side
BOX_HEAD_UNITS = 1024


def _xavier() -> initializers.Initializer:
    """Caffe2's XavierFill: uniform with variance 1 / fan-in, as Detectron2 uses in pyramid and box head."""
    return initializers.VarianceScaling(scale=1.0, mode="fan_in", distribution="uniform")


def _normal(deviation: float) -> initializers.Initializer:
    return initializers.RandomNormal(stddev=deviation)


def _pyramid(backbone: keras.Model) -> keras.Model:
    """C2–C5 to P2–P6 (Lin et al. 2017); P6 is every second cell of P5, as in Detectron2."""
    stages = [keras.Input(output.shape[1:]) for output in backbone.outputs]
    merged = [layers.Conv2D(CHANNELS, 1, kernel_initializer=_xavier(), name="lateral5")(stages[3])]
    for level in (4, 3, 2):
        lateral = layers.Conv2D(CHANNELS, 1, kernel_initializer=_xavier(), name=f"lateral{level}")(stages[level - 2])
        merged.insert(0, layers.Add()([lateral, layers.UpSampling2D(2)(merged[0])]))
    outputs = [
        layers.Conv2D(CHANNELS, 3, padding="same", kernel_initializer=_xavier(), name=f"output{level}")(features)
        for level, features in enumerate(merged, start=2)
    ]
    outputs.append(layers.MaxPooling2D(1, strides=2, padding="same", name="output6")(outputs[-1]))
    return keras.Model(stages, outputs, name="pyramid")


def rpn_head(anchors_per_cell: int) -> keras.Model:
    """Features [B, h, w, C] of a level to logits [B, h, w, A] and deltas [B, h, w, 4·A]."""
    features = keras.Input((None, None, CHANNELS))
    hidden = layers.Conv2D(
        CHANNELS, 3, padding="same", activation="relu", kernel_initializer=_normal(0.01), name="rpn_conv"
    )(features)
    logits = layers.Conv2D(anchors_per_cell, 1, kernel_initializer=_normal(0.01), name="rpn_logits")(hidden)
    deltas = layers.Conv2D(4 * anchors_per_cell, 1, kernel_initializer=_normal(0.01), name="rpn_deltas")(hidden)
    return keras.Model(features, [logits, deltas], name="rpn")


def _box_head(classes: int) -> keras.Model:
    pooled = keras.Input((POOLED * POOLED * CHANNELS,))
    hidden = layers.Dense(BOX_HEAD_UNITS, activation="relu", kernel_initializer=_xavier(), name="fc1")(pooled)
    hidden = layers.Dense(BOX_HEAD_UNITS, activation="relu", kernel_initializer=_xavier(), name="fc2")(hidden)
    logits = layers.Dense(classes + 1, kernel_initializer=_normal(0.01), name="class_logits")(hidden)
    deltas = layers.Dense(4 * classes, kernel_initializer=_normal(0.001), name="box_deltas")(hidden)
    return keras.Model(pooled, [logits, deltas], name="box_head")


@dataclass(frozen=True, slots=True)
class Network:
    """The four parts, which kind its backbone is, and which of their variables the optimizer moves.

    Batch norm is frozen throughout (statistics and affine), and so are the backbone's convolution biases, which only
    shift what the frozen affine shifts; Detectron2's backbone has none.
    """

    kind: Backbone
    backbone: keras.Model
    pyramid: keras.Model
    rpn: keras.Model
    box_head: keras.Model
    trainable: tuple[keras.Variable, ...]
    component_of: tuple[str, ...]  # of each trainable variable, one of `health.COMPONENTS`
    frozen: tuple[keras.Variable, ...]

    def bound(self, trainable: Sequence[Tensor], frozen: Sequence[Tensor]) -> "keras.StatelessScope":
        """A scope in which the layers compute with these values instead of their own variables."""
        return keras.StatelessScope(
            state_mapping=[*zip(self.trainable, trainable, strict=True), *zip(self.frozen, frozen, strict=True)]
        )

    @property
    def heads(self) -> tuple[keras.Model, ...]:
        """The parts that every trial initialises anew."""
        return self.pyramid, self.rpn, self.box_head


def build(shape: StepShape) -> Network:
    """The network with its initial values, in the shape's precision; the backbone's are not yet meant for training."""
    kind = backbone_of(shape.backbone, shape.geometry)
    policy = "mixed_bfloat16" if shape.precision == "bfloat16" else "float32"
    with _dtype_policy(policy):
        backbone = kind.build(shape.canvas)
        parts = {
            "backbone": backbone,
            "pyramid": _pyramid(backbone),
            "rpn": rpn_head(shape.anchors_per_cell),
            "box_head": _box_head(shape.classes),
        }
    trainable, component_of, frozen = [], [], []
    for name, part in parts.items():
        for variable in part.variables:
            if part is not backbone or (variable.name == "kernel" and kind.stage_of(variable) > shape.frozen_stages):
                trainable.append(variable)
                component_of.append(name)
            else:
                frozen.append(variable)
    return Network(kind, **parts, trainable=tuple(trainable), component_of=tuple(component_of), frozen=tuple(frozen))


@contextmanager
def _dtype_policy(policy: str) -> Iterator[None]:
    former = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(former)
