"""The standard error of AP: how far it would move on other validation images of the same kind.

A bootstrap over images (Efron and Tibshirani 1993, chapter 6) from the matches that COCOeval has made: an image that is
drawn n times counts n times. Whether a detection is right doesn't depend on other images, so nothing is matched anew.
Shapes: N images, B resamples, T overlaps, D detections of one class, R recalls.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

RESAMPLES = 60  # the error of the error is a tenth


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Class:
    """One class's detections by falling score."""

    image: NDArray[np.intp]  # [D]
    right: Flags  # [T, D]
    wrong: Flags  # [T, D]
    objects: Floats  # [N], annotated and not ignored


def precision_error(evaluation: Any, overlaps: slice, *, resamples: int = RESAMPLES, seed: int = 0) -> float:
    """The standard error of AP, the mean over those of COCOeval's overlaps, all sizes and classes.

    NaN of fewer than two images. `evaluation` is a COCOeval after `evaluate`.
    """
    images = len(evaluation.params.imgIds)
    if images < 2:
        return float("nan")
    generator = np.random.default_rng(seed)
    times = generator.multinomial(images, np.full(images, 1 / images), size=resamples).astype(np.float64)  # [B, N]
    recalls = np.asarray(evaluation.params.recThrs)
    by_class = np.array([_precision(one, times, recalls) for one in _classes(evaluation, images, overlaps)])  # [K, B]
    if not len(by_class):
        return float("nan")
    there = ~np.isnan(by_class)
    drawn = there.any(axis=0)  # resamples with an object
    means = np.where(there, by_class, 0.0).sum(axis=0)[drawn] / there.sum(axis=0)[drawn]
    return float(means.std(ddof=1)) if len(means) > 1 else float("nan")


def _classes(evaluation: Any, images: int, overlaps: slice) -> Iterator[_Class]:
    """Classes with annotations. Of each, COCOeval has an entry an image, for all sizes first."""
    sizes = len(evaluation.params.areaRng)
    for position in range(len(evaluation.params.catIds)):
        begin = position * sizes * images
        entries = evaluation.evalImgs[begin : begin + images]
        objects = np.array([0 if one is None else np.count_nonzero(one["gtIgnore"] == 0) for one in entries], float)
        there = [(image, one) for image, one in enumerate(entries) if one is not None and len(one["dtScores"])]
        if not objects.any():
            continue
        if not there:
            empty = np.zeros((len(evaluation.params.iouThrs[overlaps]), 0), dtype=bool)
            yield _Class(image=np.zeros(0, np.intp), right=empty, wrong=empty, objects=objects)
            continue
        scores = np.concatenate([one["dtScores"] for _, one in there])
        order = np.argsort(-scores, kind="stable")
        matched = np.concatenate([one["dtMatches"][overlaps] > 0 for _, one in there], axis=1)[:, order]
        counts = ~np.concatenate([one["dtIgnore"][overlaps].astype(bool) for _, one in there], axis=1)[:, order]
        image = np.concatenate([np.full(len(one["dtScores"]), image) for image, one in there])[order]
        yield _Class(image=image, right=matched & counts, wrong=~matched & counts, objects=objects)


def _precision(one: _Class, times: Floats, recalls: Floats) -> Floats:
    """The class's AP in each resample [B]; NaN where it has no object."""
    objects = times @ one.objects  # [B]
    weight = times[:, one.image]  # [B, D]
    found = np.zeros(len(times))
    for right, wrong in zip(one.right, one.wrong, strict=True):
        hits, misses = np.cumsum(weight * right, axis=1), np.cumsum(weight * wrong, axis=1)
        precision = hits / np.maximum(hits + misses, np.finfo(float).tiny)
        best_beyond = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        recall = hits / np.maximum(objects, 1)[:, None]
        found += [
            _at_recalls(precision_of, recall_of, recalls)
            for precision_of, recall_of in zip(best_beyond, recall, strict=True)
        ]
    return np.where(objects > 0, found / len(one.right), np.nan)


def _at_recalls(precision: Floats, recall: Floats, recalls: Floats) -> float:
    """The mean of the precision at COCO's recalls, 0 beyond the last that is reached."""
    places = np.searchsorted(recall, recalls, side="left")
    reached = places[places < len(precision)]
    return float(precision[reached].sum() / len(recalls))
