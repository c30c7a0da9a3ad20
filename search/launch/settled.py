"""What a study's data settles before the study exists: what is left out, the canvas, the budget, trial 1's anchors."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import TaskID

from detector.config import Anchors
from detector.data.formats.annotation import problems_message
from detector.weight_files.starting_point import StartingPoint, starting_point
from search.launch.usable_data import usable_data
from search.policy.screens.anchor_screen import AnchorScreen, varies_anchors
from search.report.value_text import value_text
from search.study.specification import Specification
from search.terminal import PlainConsole, progress_bar
from search.worker.fingerprint import pair_fingerprint
from search.worker.local_paths import LocalPaths
from spaces.anchor_fit import share_fitted

if TYPE_CHECKING:
    from detector.data.dataset import Dataset


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A specification with what depends on the data worked out, and what is kept with the study beside it."""

    specification: Specification
    data: str  # fingerprint (search/worker/fingerprint.py); empty where no data is read
    screen: AnchorScreen | None = None  # None where there are no anchors to choose


def settle(specification: Specification, console: PlainConsole, *, folder: Path) -> Settled:
    """The specification with what depends on the data worked out.

    Every image is checked and decoded before any trial starts; the cache goes below `folder`, unless this machine has
    a place for it.

    Raises:
        ConfigError: the data cannot be used.
    """
    if specification.trainer != "detector":  # no data is read
        return Settled(specification=specification, data="")
    paths = LocalPaths.here()
    with _decoding(console) as progress:
        usable = usable_data(specification, paths, cache=paths.cache or folder / "cache", progress=progress)
    settled, training_set, validation_set = usable.specification, usable.train, usable.validation
    own, share = paths.find(settled.data).sources()[1], settled.data.validation_share
    held_out = "" if own else f", held out of the training data ({share:.0%}, by file name)"
    console.print(
        f"{len(training_set.images)} training images, {len(validation_set.images)} for validation{held_out}",
    )
    if usable.left_out:
        console.print(f"left out, for they can't be used:\n{problems_message(list(usable.left_out))}")
    for name, dataset in (("training", training_set), ("validation", validation_set)):
        if dataset.dropped:
            first = dataset.dropped[0]
            console.print(
                f"{len(dataset.dropped)} {name} boxes dropped, the first: {first.file}: {first.reason}",
            )
    fingerprint = pair_fingerprint(training_set.fingerprint, validation_set.fingerprint)
    return _with_derived(settled, training_set, fingerprint, console)


@contextmanager
def _decoding(console: PlainConsole) -> Iterator[Callable[[str, int, int], None]]:
    """A bar for each split whose images are decoded, where somebody looks."""
    with progress_bar(console) as bars:
        tasks: dict[str, TaskID] = {}

        def update(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(f"decoding {name} images", total=total)
            bars.update(tasks[name], completed=done, total=total)

        yield update


def _with_derived(specification: Specification, training_set: "Dataset", data: str, console: PlainConsole) -> Settled:
    """With anchors derived from the boxes and a rate that the weights bear: for trial 1, unless the user decided.

    Proposals are screened by these anchors, too.
    """
    from search.policy.derived_point import canvas_boxes, derived_anchors, derived_start

    canvas, seed = specification.detector.canvas, specification.sampler.seed
    settled = Settled(specification=specification, data=data)
    if specification.trials < 2 or canvas is None or not varies_anchors(specification.space):
        return settled
    boxes = canvas_boxes(training_set, canvas)
    derived = derived_anchors(boxes, specification.space, seed=seed)
    if derived is None:
        return settled
    settled = replace(settled, screen=AnchorScreen.of(boxes, derived.anchors, seed=seed))
    if specification.derived is not None:
        return settled
    begins = starting_point(specification.detector.weights)
    start = derived_start(specification.space, start=begins)
    named = ", ".join(f"{name} {value_text(value)}" for name, value in start.items())
    shares = [share_fitted(boxes.boxes, anchors, canvas) for anchors in (derived.anchors, Anchors())]
    console.print(
        f"trial 1 tries anchors derived from the boxes: {derived.anchors.per_cell} a cell, of which one overlaps "
        f"{shares[0]:.0%} of the boxes by half or more (Detectron2's {Anchors().per_cell}: {shares[1]:.0%})"
        + (f", with {named}, because {_reason(begins)}" if named else ""),
    )
    return replace(settled, specification=replace(specification, derived=derived.values | start))


def _reason(begins: StartingPoint) -> str:
    return "a whole detector is trained further" if begins.fine_tunes else "its weights begin at random"
