"""A part of a dataset that stands for the whole."""

from collections import Counter

import numpy as np

from detector.data.dataset import Dataset


def stratified(dataset: Dataset, most: int) -> list[int]:
    """Places of at most so many images, ascending; the same dataset gives the same.

    One after the other those are taken that bring the class which is furthest behind its share of the objects, in an
    order drawn once, so that rare classes are there and frequent ones are as frequent as in the whole.
    """
    labels = [image.labels[~image.crowd].tolist() for image in dataset.images]
    if most >= len(labels):
        return list(range(len(labels)))
    objects = Counter(label for own in labels for label in own)
    left = dict.fromkeys(np.random.default_rng(0).permutation(len(labels)).tolist())
    taken: Counter[int] = Counter()
    places: list[int] = []
    while len(places) < most:
        behind = sorted(objects, key=lambda label: (taken[label] / objects[label], label))
        place = next((one for label in behind for one in left if label in labels[one]), next(iter(left)))
        del left[place]
        taken.update(labels[place])
        places.append(place)
    return sorted(places)
