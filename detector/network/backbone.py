"""Backbones: what the rest of a detector must know of one, as a value. A new one is a name in `config` and a row in
`resnets`.

Stages are counted as in Detectron2: 1 is the stem, and the stages 2 to 5 end in the features C2 to C5.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import keras
import numpy as np

from detector.boxes import Tensor
from detector.config import BackboneName, Canvas
from detector.geometry import KERAS, ChannelOrder, Geometry
from detector.network.resnet import build_resnet
from detector.resnets import RESNETS, ResNetShape


@dataclass(frozen=True, slots=True, kw_only=True)
class Backbone:
    """One kind of backbone."""

    name: BackboneName
    shape: ResNetShape
    application: Callable[..., keras.Model] | None = None  # the same in keras.applications, where it has it
    geometry: Geometry = KERAS

    def build(self, canvas: Canvas) -> keras.Model:
        """Images [B, H, W, 3] of the canvas to C2 to C5, with values that are not yet meant for training."""
        return build_resnet(self.shape, canvas, self.geometry)

    def preprocess(self, images: Tensor) -> Tensor:
        """RGB [B, H, W, 3] in 0 … 255 to what the weights were trained on."""
        pixels = self.geometry.pixels
        if pixels.order is ChannelOrder.BGR:
            images = images[..., ::-1]
        images = images - keras.ops.convert_to_tensor(pixels.mean, "float32")
        if set(pixels.deviation) == {1.0}:
            return images
        return images * keras.ops.convert_to_tensor(1 / np.array(pixels.deviation), "float32")

    def pretrained(self) -> keras.Model:
        """The whole model with its ImageNet weights, downloaded where they are not on this host.

        Raises:
            Exception: the download failed; Keras raises no narrower one.
        """
        if self.application is None:
            raise LookupError(f"Keras has none for {self.name}")
        return self.application(include_top=False, weights="imagenet")

    def stage_of(self, variable: keras.Variable) -> int:
        """The stage that the variable's layer is in; a layer is conv3_block1_2_conv."""
        return int(variable.path.split("/")[-2][len("conv")])

    def closes_branch(self, norm: str) -> bool:
        """Whether the batch norm of that name is the last layer of a residual branch."""
        return norm.endswith(f"_{self.shape.closing}_bn")

    @property
    def branches(self) -> int:
        """Residual branches of all stages."""
        return sum(self.shape.blocks)

    @property
    def residual_scale(self) -> float:
        """Scale of each residual branch without pretrained weights, so that the features do not grow with depth.

        At scale 1 the first gradients are ten times as large and a short trial learns half as much (SkipInit, De &
        Smith 2020; docs/decisions/0005).
        """
        return self.branches**-0.5


APPLICATIONS = {
    BackboneName.RESNET50: keras.applications.ResNet50,
    BackboneName.RESNET101: keras.applications.ResNet101,
}
BACKBONES: Mapping[BackboneName, Backbone] = {
    name: Backbone(name=name, shape=shape, application=APPLICATIONS.get(name)) for name, shape in RESNETS.items()
}


def backbone_of(name: BackboneName, geometry: Geometry) -> Backbone:
    """The backbone of that name, as weights of that geometry mean it."""
    return replace(BACKBONES[name], geometry=geometry)
