"""torchvision's train step in a process of its own, on the pictures, counts and precision of our `step_cell`.

The settings as JSON in the only argument; then one step for each line on standard input, answered with its seconds.
It may run under another interpreter, which needs torch and torchvision alone, so nothing of ours is imported here. The
network trains all stages, has frozen batch norm and does without resizing and augmentation: no work that ours skips.
"""

import json
import sys
import time
from typing import Any

import torch
import torchvision
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.ops import FrozenBatchNorm2d

BOXES = 4  # in each picture
GENTLE = 1e-4


class Rig:
    """The model on made-up pictures; every call of `step` is one optimizer step."""

    def __init__(self, settings: dict[str, Any]) -> None:
        torch.manual_seed(0)
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._bfloat16 = settings["precision"] == "bfloat16"
        self._images, self._targets = self._batch(settings)
        self._model = self._build(settings).to(self._device)
        if settings["channels_last"]:
            self._model = self._model.to(memory_format=torch.channels_last)
        self._model.train()
        parameters = [parameter for parameter in self._model.parameters() if parameter.requires_grad]
        self._optimizer = torch.optim.SGD(parameters, lr=GENTLE, momentum=0.9, weight_decay=1e-4, foreach=True)

    @staticmethod
    def _build(settings: dict[str, Any]) -> Any:
        backbone = resnet_fpn_backbone(
            backbone_name="resnet50", weights=None, norm_layer=FrozenBatchNorm2d, trainable_layers=5
        )
        sides = settings["height_px"], settings["width_px"]
        return FasterRCNN(
            backbone,
            num_classes=settings["classes"] + 1,
            min_size=min(sides),
            max_size=max(sides),
            rpn_pre_nms_top_n_train=settings["pre_nms_train"],
            rpn_post_nms_top_n_train=settings["proposals_train"],
            rpn_batch_size_per_image=settings["anchor_samples"],
            box_batch_size_per_image=settings["roi_samples"],
            _skip_resize=True,
        )

    def _batch(self, settings: dict[str, Any]) -> tuple[list[Any], list[dict[str, Any]]]:
        height, width = settings["height_px"], settings["width_px"]
        size = torch.tensor([width, height, width, height], dtype=torch.float32)
        images, targets = [], []
        for _ in range(settings["micro_batch"]):
            low = torch.rand(BOXES, 2) * 0.5
            corners = torch.cat([low, low + 0.125 + torch.rand(BOXES, 2) * 0.375], dim=1) * size
            labels = torch.randint(1, settings["classes"] + 1, (BOXES,))
            images.append(torch.rand(3, height, width).to(self._device))
            targets.append({"boxes": corners.to(self._device), "labels": labels.to(self._device)})
        return images, targets

    def step(self) -> float:
        """Seconds from the images to a loss on the host, after the update."""
        began = time.perf_counter()
        self._optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._bfloat16):
            loss = sum(self._model(self._images, self._targets).values())
        loss.backward()
        self._optimizer.step()
        if not torch.isfinite(loss).item():
            raise RuntimeError("a step is not finite, and its time would not be that of training")
        if self._device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - began


def main() -> None:
    """Say what runs here, then answer each line with the seconds of one more step."""
    rig = Rig(json.loads(sys.argv[1]))
    versions = {"torch": torch.__version__, "torchvision": torchvision.__version__}
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    print(json.dumps({"versions": versions, "device": device}), flush=True)  # noqa: T201
    for _ in sys.stdin:
        print(json.dumps(rig.step()), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
