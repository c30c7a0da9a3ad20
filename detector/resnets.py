"""The shapes of the ResNets that there are, and the names of their convolutions; without Keras."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from detector.config import BackboneName

SHORTCUT = 0  # number of the convolution beside a branch
FIRST_STAGE = 2  # with blocks; stage 1 is the stem
WIDTHS = (64, 128, 256, 512)  # filters inside the blocks of the stages 2 to 5
EXPANSION = 4  # of a bottleneck's last convolution


@dataclass(frozen=True, slots=True, kw_only=True)
class Convolution:
    """One convolution of a ResNet, each followed by a batch norm."""

    stage: int  # 1 to 5
    block: int = 0  # within its stage
    number: int = 1  # within its branch; 0 is the shortcut

    @property
    def name(self) -> str:
        """As keras.applications calls it, but for the `_conv` of the layer or the `_bn` of its norm."""
        return "conv1" if self.stage < FIRST_STAGE else f"conv{self.stage}_block{self.block + 1}_{self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResNetShape:
    """Blocks of the stages 2 to 5, and their kind: two 3 × 3 convolutions, or a bottleneck of 1 × 1, 3 × 3, 1 × 1."""

    blocks: tuple[int, int, int, int]
    bottleneck: bool

    @property
    def closing(self) -> int:
        """Number of the last convolution of a branch."""
        return 3 if self.bottleneck else 2

    @property
    def channels(self) -> tuple[int, ...]:
        """Of C2 to C5, which the stages end in."""
        return tuple(width * (EXPANSION if self.bottleneck else 1) for width in WIDTHS)

    @property
    def depth(self) -> int:
        """Layers as its authors count them: the convolutions of the branches, the stem, and a classifier's last."""
        return sum(self.blocks) * self.closing + 2

    @property
    def title(self) -> str:
        """Its name as its authors write it."""
        return f"ResNet-{self.depth}"

    def convolutions(self) -> Iterator[Convolution]:
        """All of them, from the stem on."""
        yield Convolution(stage=1)
        for stage, count in enumerate(self.blocks, start=FIRST_STAGE):
            for block in range(count):
                changes = block == 0 and (self.bottleneck or stage > FIRST_STAGE)
                for number in range(SHORTCUT if changes else 1, self.closing + 1):
                    yield Convolution(stage=stage, block=block, number=number)


RESNETS: Mapping[BackboneName, ResNetShape] = {
    BackboneName.RESNET18: ResNetShape(blocks=(2, 2, 2, 2), bottleneck=False),
    BackboneName.RESNET34: ResNetShape(blocks=(3, 4, 6, 3), bottleneck=False),
    BackboneName.RESNET50: ResNetShape(blocks=(3, 4, 6, 3), bottleneck=True),
    BackboneName.RESNET101: ResNetShape(blocks=(3, 4, 23, 3), bottleneck=True),
}
