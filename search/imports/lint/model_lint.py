"""What their network does that fails on little data, and what of it no trial here has."""

from collections.abc import Iterator

from detector.config import FETCHED, FETCHED_BACKBONES
from search.doctor.diagnostic import Level
from search.imports.imported import Imported
from search.imports.lint.finding import Finding, Mend, finding, shown
from search.imports.trial_zero import TrialZero

TINY_BATCH, SMALL_BATCH = 2, 7  # images of one GPU, from whose statistics a batch norm would learn


def check_norms(imported: Imported) -> Iterator[Finding]:
    """Batch norm that takes its statistics from a few images, and random layers that are frozen."""
    each_gpu = imported.batch_size.value / max(1, imported.gpus)
    if imported.norm_trains.value and each_gpu <= SMALL_BATCH:
        yield finding(
            "norm-of-few-images", Level.ERROR if each_gpu <= TINY_BATCH else Level.WARNING, imported.norm_trains,
            f"lets batch norm take its statistics from {each_gpu:g} images ({imported.batch_size.key}): they are "
            "noise, and in evaluation others. Trial 0 has it frozen, and so it lacks this fault",
            "freeze batch norm (Detectron2: NORM FrozenBN; MMDetection: norm_eval=True, requires_grad=False; "
            "torchvision: FrozenBatchNorm2d)",
            mends=[Mend(wish="norm_trains", value=False)],
        )  # fmt: skip
    if imported.frozen_stages.value > 0 and not imported.weights.value:
        yield finding(
            "frozen-at-random", Level.ERROR, imported.frozen_stages,
            f"freezes {imported.frozen_stages.value} stages, but {imported.weights.key} names no weights: random "
            "layers stay random",
            "name weights, or freeze none", mends=[Mend(wish="frozen_stages", value=0)],
        )  # fmt: skip


def check_differences(imported: Imported, zero: TrialZero | None) -> Iterator[Finding]:
    """Notes on everything that trial 0 has instead of theirs."""
    for each in imported.differences:
        yield finding(
            "other-model", Level.NOTE, each.theirs, f"wishes {each.what}, which no trial here has",
            f"trial 0 has {each.instead}",
        )  # fmt: skip
    for change in zero.substitutions if zero else ():
        yield finding(
            "trial-0-has-instead", Level.NOTE, change.theirs, f"({shown(change.theirs.value)}): {change.message}",
            "nothing need be done: this is how trial 0 stays as near as it can",
        )  # fmt: skip
    if imported.weights.value:
        can_be_fetched = imported.backbone.name in (None, *FETCHED_BACKBONES)
        named = " or ".join((*FETCHED, "")) if can_be_fetched else ""
        yield finding(
            "their-weights", Level.NOTE, imported.weights,
            f"begins from {shown(imported.weights.value)}; trial 0 begins from the study's detector.weights",
            f"give launch --weights {named}a file, where they begin from trained weights",
        )  # fmt: skip
