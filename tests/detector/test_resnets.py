"""What is counted of a ResNet's shape, against the paper's table 1 (He et al. 2015)."""

import pytest

from detector.config import BackboneName
from detector.resnets import RESNETS


@pytest.mark.parametrize(
    ("name", "title", "channels"),
    [
        (BackboneName.RESNET18, "ResNet-18", (64, 128, 256, 512)),  # 2 · (2 + 2 + 2 + 2) + 2 layers
        (BackboneName.RESNET34, "ResNet-34", (64, 128, 256, 512)),  # 2 · (3 + 4 + 6 + 3) + 2
        (BackboneName.RESNET50, "ResNet-50", (256, 512, 1024, 2048)),  # 3 · (3 + 4 + 6 + 3) + 2
        (BackboneName.RESNET101, "ResNet-101", (256, 512, 1024, 2048)),  # 3 · (3 + 4 + 23 + 3) + 2
    ],
)
def test_depth_and_channels_are_those_of_the_paper(name, title, channels):
    assert (RESNETS[name].title, RESNETS[name].channels) == (title, channels)


def test_a_name_here_says_its_depth():
    assert {name: f"resnet{shape.depth}" for name, shape in RESNETS.items()} == {name: str(name) for name in RESNETS}
