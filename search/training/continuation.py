"""A training of another length than the one in its folder: it goes on from there, under its own schedule."""

from collections.abc import Collection

from detector.config import require
from detector.detector_facts import WEIGHTS_FILE
from detector.schedule import learning_rate, optimizer_steps
from detector.training.checkpoint import images_of_newest
from search.terminal import PlainConsole
from search.trainer.protocol import Start
from search.training.agreement import agreed


def continued_after(start: Start, evaluated: Collection[int], console: PlainConsole) -> int:
    """Images that the folder's training saw before it was to have this length; 0 for one of this length from the start.

    Where the length is new, a line says what changes.

    Raises:
        ConfigError: more was trained already, or there is no checkpoint any more.
    """
    stored = agreed(start.directory) or {}
    planned, after = (stored.get(name) for name in ("images", "continued_after"))
    if not isinstance(planned, int) or planned == start.budget_images:
        return after if isinstance(after, int) else 0
    trained = _images_trained(start, evaluated)
    _require_continuable(start, trained, planned=planned)
    if trained:
        console.print(_line(start, trained, planned=planned))
    return trained


def _images_trained(start: Start, evaluated: Collection[int]) -> int:
    """Images that the training in the folder has seen: by its newest checkpoint, or by its last evaluation."""
    batch_size = start.hyperparameters.batch_size
    seen = optimizer_steps(max(evaluated, default=0), batch_size) * batch_size
    return max(seen, images_of_newest(start.directory))


def _require_continuable(start: Start, trained: int, *, planned: int) -> None:
    """Refuse what can't be gone on with."""
    require(
        start.budget_images > trained,
        f"the training in {start.directory} is one of {planned} images and has seen {trained} already, so that "
        f"--images must be above that, but is {start.budget_images}; name --images {planned} for this training, or "
        "choose another --output",
    )
    weights = start.directory / WEIGHTS_FILE
    require(
        images_of_newest(start.directory) > 0 or not weights.is_file(),
        f"{start.directory} holds weights but no checkpoint, from which alone a training goes on for longer; choose "
        f"another --output, and start from these weights by --weights {weights}",
    )


def _line(start: Start, trained: int, *, planned: int) -> str:
    """What changes, for a person."""
    was = learning_rate(start.hyperparameters, min(trained, planned - 1), planned)
    rate = learning_rate(start.hyperparameters, trained, start.budget_images)
    return (
        f"goes on after {trained} of {planned} images under the schedule of {start.budget_images}: "
        f"the learning rate was {was:.3g} and is {rate:.3g} from here"
    )
