"""Was it a picture? Samples of a trial again, on its initial weights, through the step that is compiled already.

A configuration that diverges has spoilt its own weights; on the initial ones the same batch is harmless. A sample that
is not finite there, all alone, is no configuration's fault (F29). If every sample is, weights or input are wrong.
"""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from detector.data.batches import TrainingBatches
from detector.watch.divergence import Exploding, NotFinite
from detector.watch.finding import Figures, Finding, Severity
from detector.watch.health import LOSSES
from detector.watch.thresholds import Thresholds
from trial.outcome import Outcome

REPLAYED = (NotFinite.name, Exploding.name)
CORRUPT_SAMPLE, BAD_START = "corrupt sample", "not finite at the start"


class Replay:
    """Runs samples alone. `run` takes a micro-batch on the trial's initial weights and returns its figures."""

    def __init__(
        self, batches: TrainingBatches, seed: int, micro_batch: int, *, run: Callable[[dict[str, np.ndarray]], Figures]
    ) -> None:
        self._batches = batches
        self._seed = seed
        self._micro_batch = micro_batch
        self._run = run

    def names(self, first: int, count: int) -> list[str]:
        """File names of the samples `first` and on, each once."""
        return list(dict.fromkeys(self._batches.names(self._seed, first, count)))

    def guilty(self, first: int, count: int) -> list[str]:
        """File names of those that are absurd on the initial weights, each alone in a micro-batch.

        A micro-batch that is fine as a whole has none: its losses are sums over its images.
        """
        found = []
        for start in range(first, first + count, self._micro_batch):
            batch = self._batches.arrays(self._seed, start, self._micro_batch)
            if _fine(self._run(batch)):
                continue
            for row, name in enumerate(self._batches.names(self._seed, start, self._micro_batch)):
                alone = {
                    key: np.repeat(values[row : row + 1], self._micro_batch, axis=0) for key, values in batch.items()
                }
                if not _fine(self._run(alone)):
                    found.append(name)
        return list(dict.fromkeys(found))


def blamed(finding: Finding, replay: Replay, first: int, count: int) -> Finding:
    """The finding with the images of its batch, the samples `first` and on; or the images as the finding."""
    images = replay.names(first, count)
    guilty = replay.guilty(first, count)
    evidence = {**finding.evidence, "images": "\n".join(guilty or images)}
    if not guilty:
        return replace(finding, evidence=evidence)
    if len(guilty) == len(images) and _same_elsewhere(replay, first + count, count, known=guilty):
        return replace(
            finding,
            rule=BAD_START,
            outcome=Outcome.BAD_DATA,
            severity=Severity.STUDY,
            cause="weights",
            message=f"{finding.message}; every image of its batch does that on the initial weights too, so that no "
            "hyperparameter can mend it: look at the weights and at how images are read",
            evidence=evidence,
        )
    return replace(
        finding,
        rule=CORRUPT_SAMPLE,
        outcome=Outcome.BAD_DATA,
        cause="image",
        message=f"{finding.message}; on the initial weights {_listed(guilty)} does that alone, so it is not the "
        "configuration's fault: look at the image and its boxes",
        evidence=evidence,
    )


def _same_elsewhere(replay: Replay, first: int, count: int, *, known: list[str]) -> bool:
    """Whether images that are not known yet are guilty too, or there are no others."""
    others = set(replay.names(first, count)) - set(known)
    return not others or not others.isdisjoint(replay.guilty(first, count))


def _fine(figures: Figures) -> bool:
    terms = [figures[name] for name in LOSSES]
    return math.isfinite(figures["gradient_norm"]) and all(term <= Thresholds().absurd_loss for term in terms)


def _listed(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
