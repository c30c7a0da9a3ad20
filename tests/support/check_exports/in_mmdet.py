"""One case in MMDetection: python in_mmdet.py FOLDER.

mmcv-lite has no operators: NMS and RoIAlign are torchvision's, everything else in mmcv.ops is an empty class.
"""

import os
import sys
import types
import warnings

import numpy as np
import torch
import torchvision
from judge import case, tell, walked

warnings.simplefilter("ignore")


class Operators(types.ModuleType):
    """Stands for mmcv.ops and all that is below it."""

    __path__ = ()  # type: ignore[assignment]

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (torch.nn.Module,), {})


class RoIAlign(torch.nn.Module):
    """torchvision's, with mmcv's arguments."""

    def __init__(self, output_size, spatial_scale=1.0, sampling_ratio=0, pool_mode="avg", aligned=True, **_):
        super().__init__()
        self.output_size = (output_size, output_size) if isinstance(output_size, int) else output_size
        self.arguments = (self.output_size, spatial_scale, sampling_ratio, aligned)

    def forward(self, features, rois):
        return torchvision.ops.roi_align(features, rois, *self.arguments)


def batched_nms(boxes, scores, idxs, nms_cfg, class_agnostic=False):
    """torchvision's, with what mmcv returns."""
    kept = torchvision.ops.batched_nms(boxes, scores, idxs, nms_cfg["iou_threshold"])
    return torch.cat([boxes[kept], scores[kept, None]], -1), kept


operators = Operators("mmcv.ops")
operators.RoIAlign, operators.batched_nms = RoIAlign, batched_nms
operators.nms = lambda boxes, scores, iou_threshold, **_: torchvision.ops.nms(boxes, scores, iou_threshold)
sys.modules["mmcv.ops"] = operators
for below in (
    "merge_cells",
    "modulated_deform_conv",
    "deform_conv",
    "nms",
    "roi_align",
    "point_sample",
    "carafe",
    "multi_scale_deform_attn",
):
    sys.modules[f"mmcv.ops.{below}"] = operators


def main() -> None:
    """Anchors of the whole canvas, the schedulers walked through the whole training, one step on two real images."""
    given = case()
    os.chdir(given.folder)
    import mmdet
    from mmdet.registry import DATASETS, MODELS, PARAM_SCHEDULERS
    from mmdet.utils import register_all_modules
    from mmengine.config import Config
    from mmengine.optim import build_optim_wrapper
    from mmengine.registry import DefaultScope

    register_all_modules()
    DefaultScope.get_instance("check", scope_name="mmdet")
    config = Config.fromfile("mmdet_config.py")
    config.model.backbone.init_cfg = None
    model = MODELS.build(config.model)
    grids = model.rpn_head.prior_generator.grid_priors(given.levels, device="cpu")
    anchors = torch.cat(list(grids)).numpy()

    def schedulers(optimizer):
        return [PARAM_SCHEDULERS.build(each, default_args={"optimizer": optimizer}) for each in config.param_scheduler]

    wrapper = build_optim_wrapper(model, config.optim_wrapper)
    groups = {round(group["lr"] / given.facts["peak"], 9) for group in wrapper.optimizer.param_groups}
    alone = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=config.optim_wrapper.optimizer.lr)
    steps = schedulers(alone)  # the wrapper has a group for each parameter, and would take minutes
    of_backbone = alone.param_groups[0]
    rates = walked(lambda: of_backbone["lr"], lambda: [step.step() for step in steps], int(given.iterations.max()))

    dataset = DATASETS.build(config.train_dataloader.dataset)
    assert len(dataset)
    assert sum(len(dataset[i]["data_samples"].gt_instances) for i in range(len(dataset)))
    samples = [dataset[number] for number in range(2)]
    shapes = {tuple(sample["inputs"].shape[1:]) for sample in samples}
    model.train()
    wrapper = build_optim_wrapper(model, config.optim_wrapper)
    batch = {name: [sample[name] for sample in samples] for name in ("inputs", "data_samples")}
    losses = model.train_step(batch, wrapper)
    tell(
        version=mmdet.__version__,
        anchor_error_px=given.anchor_error_px(anchors[:, [1, 0, 3, 2]]),
        whole_warmup_rate_error=given.rate_error(lambda i: rates[i]),
        rpn_factor=max(groups) if given.facts["rpn_lr_factor"] > 1 else min(groups),
        loss=float(losses["loss"]),
        shapes=sorted(map(list, shapes)),
        finite=bool(np.isfinite(float(losses["loss"]))),
    )


main()
