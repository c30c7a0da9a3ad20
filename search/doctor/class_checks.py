"""Checks of the classes: without boxes, rare, unbalanced, written in several ways."""

from collections.abc import Iterator

import numpy as np

from detector.data.dataset import Dataset
from search.doctor.diagnostic import Diagnostic, Level, located

RARE_BOXES = 10
IMBALANCE = 100.0


def check_classes(train: Dataset, validation: Dataset) -> Iterator[Diagnostic]:
    """What the numbers of boxes by class show, and the classes' names."""
    names = train.classes
    counts, held_out = (dict(zip(names, _counts(each), strict=True)) for each in (train, validation))
    absent = [name for name in names if not counts[name]]
    yield from located(
        absent,
        name="classes-without-boxes",
        level=Level.WARNING,
        message=f"{len(absent)} of {len(names)} classes have no training box: {', '.join(absent[:10])}",
        advice="remove them from the categories; if it is the first or last alone, labels may be off by one",
    )
    unseen = [name for name in names if counts[name] and not held_out[name]]
    yield from located(
        unseen,
        name="classes-not-validated",
        level=Level.WARNING,
        message=f"{len(unseen)} of {len(names)} classes have no validation box: {', '.join(unseen[:10])}",
        advice="move some of their images to validation: AP says nothing about these classes",
    )
    yield from _imbalance(counts)
    rare = [f"{name} ({count})" for name, count in counts.items() if 0 < count < RARE_BOXES]
    yield from located(
        rare,
        name="rare-classes",
        level=Level.WARNING,
        message=f"{len(rare)} of {len(names)} classes have fewer than {RARE_BOXES} training boxes",
        advice="annotate more of them, or merge them with others: nothing can be learned from so few",
    )
    yield from _alike(names)


def _counts(dataset: Dataset) -> list[int]:
    labels = np.concatenate([image.training_labels for image in dataset.images])
    counts: list[int] = np.bincount(labels, minlength=len(dataset.classes)).tolist()
    return counts


def _imbalance(counts: dict[str, int]) -> Iterator[Diagnostic]:
    present = sorted((count, name) for name, count in counts.items() if count)
    if present and present[-1][0] >= IMBALANCE * present[0][0]:
        (fewest, rarest), (most, commonest) = present[0], present[-1]
        yield Diagnostic(
            name="class-imbalance",
            level=Level.WARNING,
            message=f"there are {most / fewest:.0f} boxes of {commonest} for each of {rarest} ({most} and {fewest})",
            advice="show images of the rare class more often; AP, the mean over classes, weighs both alike",
        )


def _alike(names: tuple[str, ...]) -> Iterator[Diagnostic]:
    by_plain: dict[str, list[str]] = {}
    for name in names:
        by_plain.setdefault("".join(name.casefold().split()).rstrip("s"), []).append(name)
    alike = [" = ".join(map(repr, same)) for same in by_plain.values() if len(same) > 1]
    yield from located(
        alike,
        name="classes-alike",
        level=Level.WARNING,
        message=f"{len(alike)} classes are written in several ways: {', '.join(alike[:5])}",
        advice="use one spelling: these are different classes to the detector",
    )
