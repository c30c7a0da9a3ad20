"""The settings of frcnn_training.py, by which both scripts for PyTorch train."""

from dataclasses import asdict

from detector.config import Precision
from detector.data_source import Exif
from search.export.frameworks.fidelity import AUGMENTATION_KEYS, EXACT, Note, approximate, exact, unless
from search.export.frameworks.python_text import call
from search.export.frameworks.recipe import Recipe
from search.export.frameworks.template import script

MODULE = "frcnn_training.py"

#: What frcnn_training.py does as the trainer does it.
KEYS = (
    *AUGMENTATION_KEYS, "optimizer", "lr_per_16", "rpn_lr_factor", "momentum", "weight_decay", "warmup_fraction",
    "warmup_factor", "decay_boundaries", "decay_factor", "clip_norm", "batch_size", "detector.canvas",
    "detector.micro_batch",
)  # fmt: skip


def module_text() -> str:
    """The module itself."""
    return script(MODULE)


def training_text(recipe: Recipe) -> str:
    """The assignment of TRAINING."""
    ours, canvas = recipe.hyperparameters, recipe.configuration.detector.canvas
    values = {
        "train": recipe.train.annotations,
        "train_images": recipe.train.images,
        "validation": recipe.validation.annotations,
        "validation_images": recipe.validation.images,
        "upright": recipe.configuration.data.exif is Exif.UPRIGHT,
        "classes": recipe.configuration.classes,
        "canvas": (canvas.height_px, canvas.width_px),
        "images": recipe.images,
        "batch_size": recipe.batch_size,
        "micro_batch": recipe.micro_batch,
        "optimizer": ours.optimizer,
        "learning_rate": ours.learning_rate,
        "rpn_lr_factor": ours.rpn_lr_factor,
        "momentum": ours.momentum,
        "weight_decay": ours.weight_decay,
        "warmup_iterations": recipe.warmup_iterations,
        "warmup_factor": ours.warmup_factor,
        "milestones": recipe.milestones,
        "decay_factor": ours.decay_factor,
        "clip_norm": ours.clip_norm,
        "bfloat16": recipe.configuration.detector.precision is Precision.BFLOAT16,
        "seed": recipe.configuration.provenance.seed,
        **asdict(ours.augmentation),
    }
    return f"TRAINING = {call('Training', values)}\n"


def training_notes(recipe: Recipe) -> dict[str, Note]:
    """What the module says of the training."""
    precision = recipe.configuration.detector.precision
    return exact(KEYS) | {
        "detector.precision": unless(
            precision is Precision.FLOAT32, approximate("torch.autocast chooses which layers are bfloat16")
        ),
        "detector.backbone": EXACT,
    }
