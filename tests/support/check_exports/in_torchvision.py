"""One case in torchvision: python in_torchvision.py FOLDER."""

import warnings

import torch
import torchvision
from judge import branch_scales, case, module, tell, walked

warnings.simplefilter("ignore")


def main() -> None:
    """Anchors of the whole canvas, the scheduler walked through the whole training, one step on two real images."""
    given = case()
    script = module(given.folder / "torchvision_train.py")
    training = script.TRAINING
    annotated = script.Annotated(given.folder / training.train, given.folder / training.train_images, training.upright)
    from frcnn_training import TrainingSamples, build_optimizer, build_scheduler, train_step

    samples = [TrainingSamples(annotated, training)[number] for number in range(2)]
    model = script.build_model("none", torch.stack([sample["image"] for sample in samples]))
    norms = [each for each in model.backbone.modules() if isinstance(each, script.FrozenBatchNorm2d)]
    scales = branch_scales(norms)
    maps = [torch.zeros(1, 1, *size) for size in given.levels]
    anchors = model.rpn.anchor_generator(script.ImageList(torch.zeros(1, 3, *given.canvas), [given.canvas]), maps)[0]

    optimizer = build_optimizer(model, model.rpn, training)
    scheduler = build_scheduler(optimizer, training)
    last = int(given.iterations.max())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rates = walked(lambda: scheduler.get_last_lr()[0], scheduler.step, last)
        factor = optimizer.param_groups[1]["lr"] / optimizer.param_groups[0]["lr"]
        optimizer = build_optimizer(model, model.rpn, training)
        scheduler = build_scheduler(optimizer, training)
    loss, norm = train_step(
        [samples], model, lambda those: script.loss_of(model, those), optimizer, scheduler, training
    )
    tell(
        version=torchvision.__version__,
        anchor_error_px=given.anchor_error_px(anchors[:, [1, 0, 3, 2]].numpy()),
        rate_error=given.rate_error(lambda i: rates[i]),
        rpn_factor=factor,
        branch_scales=scales,
        loss=loss,
        gradient=norm,
    )


main()
