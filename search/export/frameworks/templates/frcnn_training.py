"""The training that was searched, for whatever PyTorch library builds the model.

Images are scaled onto one canvas by one factor, upper left corner to upper left corner, and the rest is padded. Sample
number i of a training, its augmentation included, hangs on the seed and on i alone. Pictures are float32 RGB 0..255
[3, H, W], boxes x1, y1, x2, y2 in canvas pixels, labels 0..K-1.

A script gives `run` a model and two functions: the loss of some samples, and what the model finds in some images.
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence, Tuple

import numpy as np
import torch
from PIL import Image, ImageOps
from torch.nn import functional

PADDING_RGB = (124.0, 116.0, 104.0)  # the mean of photographs: neutral once the mean is taken off
CALIBRATION_IMAGES = 64
CALIBRATION_PIXELS = CALIBRATION_IMAGES * 512**2  # of larger canvases, fewer images: memory
LEAST_SIDE_PX = 1.0  # a box that shows less is dropped
CHECKPOINTS = 10  # of a training
LUMA = (0.299, 0.587, 0.114)
YIQ_FROM_RGB = np.array([LUMA, (0.596, -0.274, -0.322), (0.211, -0.523, 0.312)])
RGB_FROM_YIQ = np.linalg.inv(YIQ_FROM_RGB)
CHROMA = RGB_FROM_YIQ @ np.diag([0.0, 1.0, 1.0]) @ YIQ_FROM_RGB
CHROMA_QUARTER_TURN = RGB_FROM_YIQ @ np.array([[0, 0, 0], [0, 0, -1], [0, 1, 0]]) @ YIQ_FROM_RGB

Sample = Dict[str, Any]


@dataclass(frozen=True)
class Training:
    """All of a training that is not the model. Paths are relative to the folder of these files."""

    train: str  # COCO JSON
    train_images: str  # folder that the JSON's file names are relative to
    validation: str
    validation_images: str
    upright: bool  # whether boxes were drawn on pictures turned as their EXIF says
    classes: Tuple[str, ...]
    canvas: Tuple[int, int]  # height, width
    images: int  # the whole training
    batch_size: int
    micro_batch: int  # images at once; gradients of a batch are added up
    optimizer: str  # sgd or adam
    learning_rate: float  # at its peak
    rpn_lr_factor: float
    momentum: float  # Adam: beta 1
    weight_decay: float
    warmup_iterations: float  # a real number
    warmup_factor: float
    milestones: Tuple[int, ...]  # first iteration of each lower rate
    decay_factor: float
    clip_norm: float  # of all gradients together
    bfloat16: bool
    seed: int
    flip_probability: float
    scale: float
    crop: float
    rotation_deg: float
    brightness: float
    contrast: float
    hue: float
    saturation: float
    visible_share: float

    @property
    def iterations(self) -> int:
        return math.ceil(self.images / self.batch_size)

    def rate_factor(self, iteration: int) -> float:
        """Share of the peak rate in that iteration, counted from 0."""
        decay = self.decay_factor ** sum(iteration >= milestone for milestone in self.milestones)
        if iteration >= self.warmup_iterations:
            return decay
        return decay * (self.warmup_factor + (1 - self.warmup_factor) * iteration / self.warmup_iterations)


def build_optimizer(model: torch.nn.Module, rpn: torch.nn.Module, training: Training) -> torch.optim.Optimizer:
    """The optimizer of all that is not frozen; the RPN has a rate of its own."""
    of_rpn = {id(parameter) for parameter in rpn.parameters()}
    moved = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in moved if id(p) not in of_rpn], "lr": training.learning_rate},
        {"params": [p for p in moved if id(p) in of_rpn], "lr": training.learning_rate * training.rpn_lr_factor},
    ]
    if training.optimizer == "adam":
        betas = (training.momentum, 0.999)
        return torch.optim.Adam(groups, betas=betas, eps=1e-8, weight_decay=training.weight_decay)
    return torch.optim.SGD(groups, momentum=training.momentum, weight_decay=training.weight_decay)


def build_scheduler(optimizer: torch.optim.Optimizer, training: Training) -> torch.optim.lr_scheduler.LambdaLR:
    """The rate of every iteration: linear warm-up, then steps down."""
    return torch.optim.lr_scheduler.LambdaLR(optimizer, training.rate_factor)


class Annotated:
    """The images of a COCO file, with boxes that are no crowds, in original pixels."""

    def __init__(self, file: Path, folder: Path, upright: bool) -> None:
        document = json.loads(file.read_text(encoding="utf-8"))
        labels = {each["id"]: label for label, each in enumerate(document["categories"])}
        boxes: Dict[Any, List[List[float]]] = {}
        for each in document["annotations"]:
            if not each.get("iscrowd", 0):
                x, y, width, height = each["bbox"]
                row = [x, y, x + width, y + height, labels[each["category_id"]]]
                boxes.setdefault(each["image_id"], []).append(row)
        self.file, self.folder, self.upright = file, folder, upright
        self.category_ids = list(labels)
        self.images = document["images"]
        self.boxes = [torch.tensor(boxes.get(each["id"], []), dtype=torch.float32) for each in self.images]
        self.trainable = [number for number, rows in enumerate(self.boxes) if len(rows)]

    def picture(self, number: int) -> torch.Tensor:
        """The decoded image, float32 RGB [3, h, w]."""
        with Image.open(self.folder / self.images[number]["file_name"]) as opened:
            image = (ImageOps.exif_transpose(opened) if self.upright else opened).convert("RGB")
        return torch.from_numpy(np.array(image)).permute(2, 0, 1).float()


def letterbox(picture: torch.Tensor, canvas: Tuple[int, int]) -> Tuple[torch.Tensor, Tuple[float, float], float]:
    """The picture on the canvas, the height and width that it covers there, and canvas pixels per original pixel."""
    height, width = picture.shape[-2:]
    scale = min(canvas[0] / height, canvas[1] / width)
    extent = min(canvas[0], height * scale), min(canvas[1], width * scale)
    size = [max(1, round(side)) for side in extent]
    scaled = functional.interpolate(picture[None], size=size, mode="bilinear", antialias=True, align_corners=False)[0]
    placed = picture.new_tensor(PADDING_RGB)[:, None, None].repeat(1, *canvas)
    placed[:, : size[0], : size[1]] = scaled
    return placed, extent, scale


class TrainingSamples(torch.utils.data.Dataset):  # type: ignore[misc]
    """Sample i of the training: a dictionary of `image`, `extent`, `boxes` and `labels`."""

    def __init__(self, annotated: Annotated, training: Training, first: int = 0) -> None:
        self.annotated, self.training, self.first = annotated, training, first
        self.order: Tuple[int, List[int]] = (-1, [])

    def __len__(self) -> int:
        return self.training.iterations * self.training.batch_size - self.first

    def __getitem__(self, place: int) -> Sample:
        number, training = self.first + place, self.training
        index = self._image_of(number)
        rows = self.annotated.boxes[index]
        picture, extent, scale = letterbox(self.annotated.picture(index), training.canvas)
        draws = np.random.default_rng([training.seed, 1, number]).random(9).tolist()
        picture, extent, boxes, kept = augmented(picture, extent, rows[:, :4] * scale, draws, training)
        return {"image": picture, "extent": extent, "boxes": boxes, "labels": rows[kept, 4].long()}

    def _image_of(self, number: int) -> int:
        """Every image once, in another order each time."""
        turn, place = divmod(number, len(self.annotated.trainable))
        if self.order[0] != turn:
            shuffled = np.random.default_rng([self.training.seed, 0, turn]).permutation(self.annotated.trainable)
            self.order = turn, shuffled.tolist()
        return self.order[1][place]


def augmented(
    picture: torch.Tensor, extent: Tuple[float, float], boxes: torch.Tensor, draws: Sequence[float], ranges: Training
) -> Tuple[torch.Tensor, Tuple[float, float], torch.Tensor, torch.Tensor]:
    """Picture, extent and boxes under one affine map and one change of colour, and which boxes [n] are still seen."""
    flip, zoom, shift_y, shift_x, angle = draws[:5]
    height, width = picture.shape[-2:]
    sign = -1.0 if flip < ranges.flip_probability else 1.0
    factor = math.exp((2 * zoom - 1) * math.log1p(ranges.scale))
    radians = (2 * angle - 1) * math.radians(ranges.rotation_deg)
    cos, sin = factor * math.cos(radians), factor * math.sin(radians)
    matrix = torch.tensor([[cos, -sin * sign], [sin, cos * sign]], dtype=torch.float64)  # of (y, x)
    shift = torch.tensor([(2 * shift_y - 1) * ranges.crop * height, (2 * shift_x - 1) * ranges.crop * width])
    centre = torch.tensor(extent, dtype=torch.float64) / 2

    moved_picture, inside = sampled(picture, extent, matrix, shift, centre)
    moved_picture = recoloured(moved_picture, inside, draws[5:], ranges)
    padding = picture.new_tensor(PADDING_RGB)[:, None, None]
    moved_picture = torch.where(inside, moved_picture, padding)

    def enclosing(boxes: torch.Tensor) -> torch.Tensor:
        x1, y1, x2, y2 = boxes.double().unbind(-1)
        corners = torch.stack([torch.stack([y1, y1, y2, y2], -1), torch.stack([x1, x2, x1, x2], -1)], -1)  # [n, 4, 2]
        y, x = ((corners - centre) @ matrix.T + centre + shift).unbind(-1)
        return torch.stack([x.amin(-1), y.amin(-1), x.amax(-1), y.amax(-1)], -1).float()

    limits = boxes.new_tensor([width, height, width, height])
    moved = enclosing(boxes)
    clipped = torch.minimum(moved.clamp(min=0), limits)
    sides = clipped[:, 2:] - clipped[:, :2]
    whole = (moved[:, 2:] - moved[:, :2]).prod(-1)
    kept = (sides.clamp(min=0).prod(-1) >= ranges.visible_share * whole) & (sides >= LEAST_SIDE_PX).all(-1)
    frame = torch.minimum(enclosing(boxes.new_tensor([[0.0, 0.0, extent[1], extent[0]]])).clamp(min=0), limits)[0]
    return moved_picture, (float(frame[3]), float(frame[2])), clipped[kept], kept


def sampled(
    picture: torch.Tensor, extent: Tuple[float, float], matrix: torch.Tensor, shift: torch.Tensor, centre: torch.Tensor
) -> Tuple[torch.Tensor, torch.Tensor]:
    """The picture read bilinearly through the inverse map, and which pixels [H, W] show it and no padding."""
    height, width = picture.shape[-2:]
    drawn = [max(1, round(side)) for side in extent]
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    pixels = torch.stack([rows, columns], -1).double()  # [H, W, 2]
    places = (pixels - shift - (centre - 0.5)) @ torch.linalg.inv(matrix).T + (centre - 0.5)
    y, x = places.unbind(-1)
    inside = (y >= -0.5) & (y <= drawn[0] - 0.5) & (x >= -0.5) & (x <= drawn[1] - 0.5)
    grid = torch.stack([(2 * x + 1) / drawn[1] - 1, (2 * y + 1) / drawn[0] - 1], -1).float()
    part = picture[None, :, : drawn[0], : drawn[1]]
    return functional.grid_sample(part, grid[None], padding_mode="border", align_corners=False)[0], inside


def recoloured(picture: torch.Tensor, inside: torch.Tensor, draws: Sequence[float], ranges: Training) -> torch.Tensor:
    """The picture with brightness, contrast, hue and saturation changed, in this order, in 0..255."""
    brightness, contrast, hue, saturation = (2 * draw - 1 for draw in draws)
    picture = picture + 255 * ranges.brightness * brightness
    luma = (picture * picture.new_tensor(LUMA)[:, None, None]).sum(0)
    mean = luma[inside].mean() if inside.any() else luma.new_zeros(())
    picture = picture + ranges.contrast * contrast * (picture - mean)
    strength, turn = 1 + ranges.saturation * saturation, 2 * math.pi * ranges.hue * hue
    matrix = (strength * math.cos(turn) - 1) * CHROMA + strength * math.sin(turn) * CHROMA_QUARTER_TURN
    change = torch.einsum("ij,jhw->ihw", torch.tensor(matrix, dtype=torch.float32), picture)
    return (picture + change).clamp(0, 255)


def calibrate(
    backbone: torch.nn.Module, norms: Sequence[torch.nn.Module], last: Sequence[torch.nn.Module], pictures: torch.Tensor
) -> None:
    """Give a backbone from nothing batch norms that can be frozen: statistics of these pictures, layer by layer.

    The `last` of each residual branch is scaled down, so that features do not grow with depth.
    """
    for norm in last:
        norm.weight.fill_(len(last) ** -0.5)

    def measure(norm: torch.nn.Module, inputs: Tuple[torch.Tensor]) -> None:
        norm.running_mean.copy_(inputs[0].mean(dim=(0, 2, 3)))
        norm.running_var.copy_(inputs[0].var(dim=(0, 2, 3), unbiased=False))

    hooks = [norm.register_forward_pre_hook(measure) for norm in norms]
    with torch.no_grad():
        backbone(pictures)
    for hook in hooks:
        hook.remove()


def calibration_pictures(annotated: Annotated, training: Training) -> torch.Tensor:
    """The first images on the canvas, float32 RGB [n, 3, H, W]."""
    height, width = training.canvas
    most = max(4, min(CALIBRATION_IMAGES, CALIBRATION_PIXELS // (height * width)))
    numbers = range(min(most, len(annotated.images)))
    return torch.stack([letterbox(annotated.picture(number), training.canvas)[0] for number in numbers])


def train_step(
    batch: Sequence[Sequence[Sample]],
    model: torch.nn.Module,
    loss_of: Callable[[Sequence[Sample]], torch.Tensor],
    optimizer: torch.optim.Optimizer,
    scheduler: torch.optim.lr_scheduler.LambdaLR,
    training: Training,
) -> Tuple[float, float]:
    """One batch, in its micro-batches; the loss, and the norm of all gradients before it is clipped."""
    optimizer.zero_grad(set_to_none=True)
    total = 0.0
    device = next(model.parameters()).device.type
    for samples in batch:
        with torch.autocast(device, dtype=torch.bfloat16, enabled=training.bfloat16):
            loss = loss_of(samples) * (len(samples) / training.batch_size)
        loss.backward()
        total += float(loss.detach())
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), training.clip_norm)
    if not torch.isfinite(norm):
        raise SystemExit("the gradients are not finite any more: the training diverged")
    optimizer.step()
    scheduler.step()
    return total, float(norm)


def read_weights(file: str) -> Dict[str, torch.Tensor]:
    """The values in a file of PyTorch or safetensors, by name."""
    if file.endswith(".safetensors"):
        from safetensors.torch import load_file

        return load_file(file)
    return torch.load(file, map_location="cpu", weights_only=True)


def arguments(description: str, weights: str) -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("trained"), help="folder of the checkpoint and the weights")
    parser.add_argument("--weights", default=weights, help="what to start from: a file, or none")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cuda or cpu")
    parser.add_argument("--workers", type=int, default=4, help="processes that load images")
    parser.add_argument("--iterations", type=int, default=None, help="stop early, after so many")
    return parser.parse_args()


def run(
    model: torch.nn.Module,
    rpn: torch.nn.Module,
    loss_of: Callable[[Sequence[Sample]], torch.Tensor],
    detect: Callable[[torch.Tensor], Dict[str, torch.Tensor]],
    training: Training,
    folder: Path,
    options: argparse.Namespace,
) -> None:
    """Train to the end, from the last checkpoint in the output folder where there is one, and evaluate."""
    annotated = Annotated(folder / training.train, folder / training.train_images, training.upright)
    optimizer = build_optimizer(model, rpn, training)
    scheduler = build_scheduler(optimizer, training)
    options.output.mkdir(parents=True, exist_ok=True)
    checkpoint = options.output / "checkpoint.pth"
    parts: Dict[str, Any] = {"model": model, "optimizer": optimizer, "scheduler": scheduler}
    done = 0
    if checkpoint.exists():
        saved = torch.load(checkpoint, map_location=options.device, weights_only=True)
        for name, part in parts.items():
            part.load_state_dict(saved[name])
        done = saved["iteration"]
    last = min(training.iterations, options.iterations or training.iterations)
    samples = TrainingSamples(annotated, training, first=done * training.batch_size)
    loader = iter(
        torch.utils.data.DataLoader(
            samples, batch_size=training.micro_batch, num_workers=options.workers, collate_fn=list
        )
    )
    model.train()
    for iteration in range(done, last):
        batch = [next(loader) for _ in range(training.batch_size // training.micro_batch)]
        rate = scheduler.get_last_lr()[0]
        loss, norm = train_step(batch, model, loss_of, optimizer, scheduler, training)
        if iteration < 10 or iteration % 20 == 0 or iteration == last - 1:
            print(f"iteration {iteration + 1} of {last}: loss {loss:.4f}, rate {rate:.3g}, gradient {norm:.3g}")
        if (iteration + 1) % max(1, last // CHECKPOINTS) == 0 or iteration == last - 1:
            states = {name: part.state_dict() for name, part in parts.items()}
            torch.save({**states, "iteration": iteration + 1}, checkpoint.with_suffix(".new"))
            checkpoint.with_suffix(".new").replace(checkpoint)
    torch.save(model.state_dict(), options.output / "model_final.pth")
    print(f"wrote {options.output / 'model_final.pth'}")
    evaluate(model, detect, training, folder, options.output)


@torch.no_grad()
def evaluate(
    model: torch.nn.Module,
    detect: Callable[[torch.Tensor], Dict[str, torch.Tensor]],
    training: Training,
    folder: Path,
    output: Path,
) -> None:
    """Leave detections.json, and print COCO's figures where pycocotools is installed."""
    model.eval()
    annotated = Annotated(folder / training.validation, folder / training.validation_images, training.upright)
    found: List[Dict[str, Any]] = []
    for number, image in enumerate(annotated.images):
        result = {name: values.cpu().tolist() for name, values in detect(annotated.picture(number)).items()}
        for (x1, y1, x2, y2), score, label in zip(result["boxes"], result["scores"], result["labels"]):
            box = [x1, y1, x2 - x1, y2 - y1]
            category = annotated.category_ids[label]
            found.append({"image_id": image["id"], "category_id": category, "bbox": box, "score": score})
    (output / "detections.json").write_text(json.dumps(found), encoding="utf-8")
    print(f"found {len(found)} objects in {len(annotated.images)} validation images")
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError:
        print("install pycocotools to see COCO's figures")
        return
    if found:
        truth = COCO(str(annotated.file))
        figures = COCOeval(truth, truth.loadRes(str(output / "detections.json")), "bbox")
        figures.evaluate()
        figures.accumulate()
        figures.summarize()
