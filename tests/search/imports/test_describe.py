"""`describe` against objects that look like torchvision's; and that it loads nothing."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from detector.config import BackboneName, ConfigError, Optimizer
from search.imports.describe import describe
from search.imports.formats.description import read_description
from search.imports.trial_zero import NO_CLIPPING, trial_zero


class Parameter:
    def __init__(self, *, trains: bool = True) -> None:
        self.requires_grad = trains


class Module:
    """A part with parameters and parts."""

    def __init__(self, *, trains: bool = True, **parts: object) -> None:
        self.own = [Parameter(trains=trains)]
        self.__dict__.update(parts)

    def parameters(self):
        return self.own

    def modules(self):
        yield self
        for each in self.__dict__.values():
            if isinstance(each, Module):
                yield from each.modules()


class Bottleneck(Module):
    pass


class BasicBlock(Module):
    pass


class Layer(Module):
    def __init__(self, blocks: int, kind: type[Module] = Bottleneck, **options: object) -> None:
        super().__init__(**options)
        self.blocks = [kind() for _ in range(blocks)]

    def __len__(self) -> int:
        return len(self.blocks)

    def __getitem__(self, index: int) -> Module:
        return self.blocks[index]


class BatchNorm2d(Module):
    pass


class FrozenBatchNorm2d(Module):
    pass


class SGD(SimpleNamespace):
    pass


class Adam(SimpleNamespace):
    pass


class MultiStepLR(SimpleNamespace):
    pass


class LinearLR(SimpleNamespace):
    pass


class StepLR(SimpleNamespace):
    pass


class FasterRCNN(SimpleNamespace):
    pass


def matcher(high: float, low: float) -> SimpleNamespace:
    return SimpleNamespace(high_threshold=high, low_threshold=low)


def sampler(share: float, count: int) -> SimpleNamespace:
    return SimpleNamespace(positive_fraction=share, batch_size_per_image=count)


def detector(norm: type[Module] = FrozenBatchNorm2d) -> FasterRCNN:
    body = Module(
        conv1=Module(trains=False), bn1=norm(trains=False), layer1=Layer(3, trains=False), layer2=Layer(4),
        layer3=Layer(6), layer4=Layer(3),
    )  # fmt: skip
    rpn = Module(
        anchor_generator=SimpleNamespace(
            sizes=((32,), (64,), (128,), (256,), (512,)), aspect_ratios=((0.5, 1.0, 2.0),) * 5
        ),
        proposal_matcher=matcher(0.7, 0.3),
        fg_bg_sampler=sampler(0.5, 256),
        nms_thresh=0.7,
    )
    heads = SimpleNamespace(
        box_predictor=SimpleNamespace(cls_score=SimpleNamespace(out_features=4)),
        proposal_matcher=matcher(0.5, 0.5),
        fg_bg_sampler=sampler(0.25, 512),
        score_thresh=0.05,
        nms_thresh=0.5,
        mask_head=None,
    )
    transform = SimpleNamespace(
        min_size=(800,), max_size=1333, image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225]
    )
    return FasterRCNN(backbone=Module(body=body, fpn=Module()), rpn=rpn, roi_heads=heads, transform=transform)


def sgd(model: FasterRCNN, **options: object) -> SGD:
    group = {"params": [Parameter(), *model.rpn.parameters()], "lr": 0.02, "momentum": 0.9, "weight_decay": 5e-4}
    return SGD(param_groups=[{**group, **options}])


def imported(text: str):
    return read_description(text, Path("mine.json"), gpus=1, images=100)


def test_a_described_detector_comes_back_with_all_its_numbers():
    model = detector()
    steps = MultiStepLR(milestones=Counter({16: 1, 22: 1}), gamma=0.1)
    text = describe(
        model, sgd(model), [LinearLR(start_factor=0.001, total_iters=50), steps], batch_size=4, iterations=2600,
        iterations_per_epoch=100, weights="COCO_V1", clip_norm=None,
    )  # fmt: skip
    wish = imported(text)
    own = trial_zero(wish).hyperparameters
    assert own.learning_rate == 0.02
    assert own.weight_decay == 5e-4
    assert own.decay_boundaries == pytest.approx((1600 / 2600, 2200 / 2600))
    assert (own.warmup_fraction, own.warmup_factor) == (50 / 2600, 0.001)
    assert own.clip_norm == NO_CLIPPING
    assert own.anchors.sizes_px == ((32,), (64,), (128,), (256,), (512,))
    assert (wish.frozen_stages.value, wish.norm_trains.value, wish.weights.value) == (2, False, "COCO_V1")
    assert (wish.classes.value, wish.counts_background) == (4, True)
    assert wish.differences == ()


@pytest.mark.parametrize(
    ("name", "kind", "blocks"),
    [
        (BackboneName.RESNET18, BasicBlock, 2),
        (BackboneName.RESNET34, BasicBlock, 6),
        (BackboneName.RESNET50, Bottleneck, 6),
        (BackboneName.RESNET101, Bottleneck, 23),
        (None, Bottleneck, 36),
    ],
)
def test_a_backbone_is_told_by_the_blocks_of_its_third_layer(name, kind, blocks):
    model = detector()
    model.backbone.body.layer3 = Layer(blocks, kind)
    wish = imported(describe(model, sgd(model), batch_size=1, iterations=1))
    assert wish.backbone.name is name
    assert [each.what for each in wish.differences] == ([] if name else ["ResNet-152"])


def test_the_rate_is_the_one_before_a_scheduler_changed_it_and_the_rpn_may_have_its_own():
    model = detector()
    optimizer = SGD(
        param_groups=[
            {"params": [Parameter(), Parameter()], "lr": 0.0001, "initial_lr": 0.01, "momentum": 0.8},
            {"params": model.rpn.parameters(), "lr": 0.0002, "initial_lr": 0.02, "momentum": 0.8},
        ]
    )
    own = trial_zero(imported(describe(model, optimizer, batch_size=2, iterations=100))).hyperparameters
    assert own.learning_rate == 0.01
    assert own.rpn_lr_factor == 2.0
    assert own.momentum == 0.8


def test_adam_and_a_staircase():
    model = detector(BatchNorm2d)
    optimizer = Adam(param_groups=[{"params": [Parameter()], "lr": 1e-4, "betas": (0.85, 0.999)}])
    wish = imported(describe(model, optimizer, StepLR(step_size=3, gamma=0.5), batch_size=2, iterations=10))
    own = trial_zero(wish).hyperparameters
    assert (own.optimizer, own.momentum, own.decay_factor) == (Optimizer.ADAM, 0.85, 0.5)
    assert own.decay_boundaries == pytest.approx((0.3, 0.6, 0.9))
    assert wish.norm_trains.value
    assert "batch norm that trains" in {each.what for each in wish.differences}


def test_it_is_written_to_a_file_when_one_is_named(tmp_path):
    text = describe(detector(), sgd(detector()), batch_size=1, iterations=1, path=tmp_path / "mine.json")
    assert (tmp_path / "mine.json").read_text() == text
    assert json.loads(text)["format"] == "frcnn-search torchvision description"


def test_what_is_no_faster_rcnn_is_said_to_the_script():
    with pytest.raises(ValueError, match="describe needs a FasterRCNN of torchvision's"):
        describe(SimpleNamespace(), SimpleNamespace(), batch_size=1, iterations=1)


@pytest.mark.parametrize("text", ["{}", "[]", '{"format": "other"}', "{" * 5000, "no"])
def test_other_json_is_refused(text):
    with pytest.raises(ConfigError, match="is no description of torchvision's"):
        imported(text)


def test_a_real_detector_of_torchvision_is_described_the_same():
    torchvision = pytest.importorskip("torchvision")
    torch = pytest.importorskip("torch")
    model = torchvision.models.detection.fasterrcnn_resnet50_fpn(
        weights=None, weights_backbone=None, num_classes=4, trainable_backbone_layers=3
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [6, 9])
    wish = imported(describe(model, optimizer, scheduler, batch_size=2, iterations=120, iterations_per_epoch=10))
    own = trial_zero(wish).hyperparameters
    assert own.anchors.sizes_px == ((32,), (64,), (128,), (256,), (512,))
    assert own.decay_boundaries == pytest.approx((0.5, 0.75))
    assert wish.differences[-1:] == ()


def test_it_needs_nothing_but_the_standard_library():
    program = (
        "import sys; import search.imports.describe; "
        "print(sorted({name.split('.')[0] for name in sys.modules} & "
        "{'tensorflow', 'keras', 'torch', 'numpy', 'pydantic', 'optuna', 'yaml'}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
