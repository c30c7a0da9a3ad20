"""What both TensorFlow frameworks share: what their optimizers and augmentations cannot say."""

from detector.config import Optimizer
from search.export.frameworks.fidelity import EXACT, Note, approximate, not_expressed, unless
from search.export.frameworks.recipe import Recipe
from search.export.frameworks.warmup_note import warmup_note

VELOCITY = approximate("Keras's velocity holds the rate: after each change of the rate steps differ for a while")


def training_notes(recipe: Recipe) -> dict[str, Note]:
    """Of the schedule, the optimizer and the rules of matching."""
    ours = recipe.hyperparameters
    by_sgd = ours.optimizer is Optimizer.SGD and ours.momentum > 0
    changes = bool(recipe.milestones or recipe.whole_warmup_iterations)
    return {
        "warmup_fraction": warmup_note(recipe),
        "momentum": unless(not (by_sgd and changes), VELOCITY),
        "weight_decay": unless(ours.weight_decay == 0, approximate("of kernels alone, not of biases")),
        "rpn_lr_factor": unless(ours.rpn_lr_factor == 1, not_expressed("the RPN has the rate of all")),
        "low_quality_matches": unless(
            ours.low_quality_matches, not_expressed("the best anchor of each box is always positive")
        ),
        "detector.weights": {
            "none": approximate("random; batch norm trains, because nothing calibrates it"),
        }.get(
            recipe.configuration.detector.weights,
            not_expressed("random, until a checkpoint of the framework's own is named"),
        ),
        "detector.micro_batch": unless(
            recipe.micro_batch == recipe.batch_size, not_expressed("the whole batch at once; it takes more memory")
        ),
    }


def unsaid(value: float, note: str = "left as it is") -> Note:
    """Of a change of images that the framework does not know: none is meant, or it is not made."""
    return EXACT if value == 0 else not_expressed(note)
