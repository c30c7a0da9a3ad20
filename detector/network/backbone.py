"""Backbones: what the rest of a detector must know of one, as a value. A new one is a name in `config` and a row here.

Stages are counted as in Detectron2: 1 is the stem, and the stages 2 to 5 end in the features C2 to C5.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import keras

from detector.boxes import Tensor
from detector.config import BackboneName, Canvas


@dataclass(frozen=True, slots=True, kw_only=True)
class Backbone:
    """One kind of backbone."""

    name: BackboneName
    constructor: Callable[..., keras.Model]  # with the parameters of those in keras.applications
    outputs: tuple[str, str, str, str]  # layers that give C2 to C5
    preprocess: Callable[[Tensor], Tensor]  # RGB [B, H, W, 3] in 0 … 255 to what its weights were trained on
    stage_of_layer: Callable[[str], int]
    closes_branch: Callable[[str], bool]  # whether the batch norm of that name is the last layer of a residual branch
    branches: int

    def build(self, canvas: Canvas) -> keras.Model:
        """Images [B, H, W, 3] of the canvas to C2 to C5, with values that are not yet meant for training."""
        size = (canvas.height_px, canvas.width_px, 3)
        whole = self.constructor(include_top=False, weights=None, input_shape=size)
        return keras.Model(whole.input, [whole.get_layer(name).output for name in self.outputs], name="backbone")

    def pretrained(self) -> keras.Model:
        """The whole model with its ImageNet weights, downloaded where they are not on this host.

        Raises:
            Exception: the download failed; Keras raises no narrower one.
        """
        return self.constructor(include_top=False, weights="imagenet")

    def stage_of(self, variable: keras.Variable) -> int:
        """The stage that the variable's layer is in."""
        return self.stage_of_layer(variable.path.split("/")[-2])

    @property
    def residual_scale(self) -> float:
        """Scale of each residual branch without pretrained weights, so that the features do not grow with depth.

        At scale 1 the first gradients are ten times as large and a short trial learns half as much (SkipInit, De &
        Smith 2020; docs/decisions/0005).
        """
        return self.branches**-0.5


def _caffe(images: Tensor) -> Tensor:
    """BGR with the mean taken off."""
    return images[..., ::-1] - keras.ops.convert_to_tensor((103.939, 116.779, 123.68), "float32")


def _resnet(name: BackboneName, constructor: Callable[..., keras.Model], *blocks: int) -> Backbone:
    """One of keras.applications' ResNets with so many blocks in its stages 2 to 5; a layer is conv3_block1_2_conv."""
    c2, c3, c4, c5 = (f"conv{stage}_block{count}_out" for stage, count in enumerate(blocks, start=2))
    return Backbone(
        name=name,
        constructor=constructor,
        outputs=(c2, c3, c4, c5),
        preprocess=_caffe,
        stage_of_layer=lambda layer: int(layer[len("conv")]),
        closes_branch=lambda norm: norm.endswith("_3_bn"),
        branches=sum(blocks),
    )


BACKBONES: Mapping[BackboneName, Backbone] = {
    kind.name: kind for kind in (_resnet(BackboneName.RESNET50, keras.applications.ResNet50, 3, 4, 6, 3),)
}
