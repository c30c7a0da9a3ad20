"""One case in Detectron2: python in_detectron2.py FOLDER. Both the scheduler of its YAML and that of its script."""

import warnings

import torch
from judge import branch_scales, case, module, tell, walked

warnings.simplefilter("ignore")


def main() -> None:
    """Anchors of the whole canvas, both schedulers walked through the whole training, one step on two real images."""
    given = case()
    script = module(given.folder / "detectron2_train.py")
    from detectron2.solver import build_lr_scheduler
    from frcnn_training import TrainingSamples, build_optimizer, build_scheduler, train_step

    training = script.TRAINING
    config = script.load_config(given.folder)
    config.MODEL.DEVICE = "cpu"
    annotated = script.Annotated(given.folder / training.train, given.folder / training.train_images, training.upright)
    samples = [TrainingSamples(annotated, training)[number] for number in range(2)]
    model = script.build_model(config, torch.stack([sample["image"] for sample in samples]))
    norms = [each for each in model.backbone.modules() if isinstance(each, script.FrozenBatchNorm2d)]
    scales = branch_scales(norms)
    maps = [torch.zeros(1, 1, *size) for size in given.levels]
    anchors = torch.cat([boxes.tensor for boxes in model.proposal_generator.anchor_generator(maps)])

    last = int(given.iterations.max())
    optimizer = build_optimizer(model, model.proposal_generator, training)
    scheduler = build_scheduler(optimizer, training)
    rates = walked(lambda: scheduler.get_last_lr()[0], scheduler.step, last)
    factor = optimizer.param_groups[1]["lr"] / optimizer.param_groups[0]["lr"]
    of_yaml = torch.optim.SGD(torch.nn.Linear(1, 1).parameters(), lr=config.SOLVER.BASE_LR)
    yaml_scheduler = build_lr_scheduler(config, of_yaml)
    yaml_rates = walked(lambda: of_yaml.param_groups[0]["lr"], yaml_scheduler.step, last)

    optimizer = build_optimizer(model, model.proposal_generator, training)
    scheduler = build_scheduler(optimizer, training)
    loss, norm = train_step(
        [samples], model, lambda those: script.loss_of(model, those), optimizer, scheduler, training
    )
    tell(
        version="source 02b5c4e2",
        anchor_error_px=given.anchor_error_px(anchors[:, [1, 0, 3, 2]].numpy()),
        rate_error=given.rate_error(lambda i: rates[i]),
        whole_warmup_rate_error=given.rate_error(lambda i: yaml_rates[i]),
        rpn_factor=factor,
        branch_scales=scales,
        loss=loss,
        gradient=norm,
    )


main()
