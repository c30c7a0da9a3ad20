"""The `budget` section: how many trials, how long each, and where they are compared. Everything in images seen."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any

from pydantic import Field, PlainSerializer, PlainValidator

from detector.config import ConfigError, require
from detector.whole_number import way_out
from search.study.fields import All, Auto, Positive, write_auto
from trial.counts import COUNT_LIMIT

FIRST_RUNG_SHARE = 0.08  # of the budget: ranks of trials are noise before (docs/decisions)
FEWEST_PAUSE_IMAGES = 96  # before, hardly anything tells trials apart, whatever their budget
LEAST_STRETCH = 2.0  # from the first rung to the second, where the first is not the second's share
SMALL_IMAGES = 960  # in a smaller budget trials pause once: two readings tell no more than one
SMALL_FIRST_SHARE = 1 / 6
DEFAULT_TRIALS = 30
_EPOCHS = 12  # Detectron2's 1x schedule on COCO
_FEWEST_IMAGES, _MOST_IMAGES = 960, 24_000  # 60 and 1,500 updates at batch size 16


def _parse_rungs(value: object) -> tuple[int, ...] | int | None:
    if value in (None, "auto"):
        return None
    rungs: list[Any] = list(value) if isinstance(value, list | tuple) else [value]
    whole = all(isinstance(rung, int) and not isinstance(rung, bool) and 1 <= rung < COUNT_LIMIT for rung in rungs)
    if not whole or not rungs:
        bad = next((rung for rung in rungs if isinstance(rung, float | str)), None)
        instead = f"; {way_out(bad)}" if bad is not None else ""
        raise ConfigError(f"must be auto, a number of rungs, or a list of image counts, but is {value!r}{instead}")
    increasing = all(a < b for a, b in pairwise(rungs))
    require(increasing, f"image counts must increase from rung to rung, but are {rungs}")
    return int(rungs[0]) if isinstance(value, int) else tuple(rungs)


Rungs = Annotated[tuple[int, ...] | int | None, PlainValidator(_parse_rungs), PlainSerializer(write_auto)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How many trials, how long the longest of them, and how much all of them may cost."""

    trials: Auto[Positive] = None
    trainings: Auto[Annotated[float, Field(gt=0, lt=COUNT_LIMIT)]] = None
    images: Auto[Positive] = None
    rungs: Rungs = None
    validation_images: All[Positive] = None
    until_settled: bool = False

    @property
    def all_images(self) -> int | None:
        """Images that all trials together may be trained on; None: as many as they need.

        Raises:
            ConfigError: `images` is still `auto`.
        """
        if self.trainings is None:
            return None
        return round(self.trainings * self._known_images)

    @property
    def _known_images(self) -> int:
        if self.images is None:
            raise ConfigError("budget.images is auto, but no data was looked at; set it, such as 1000")
        return self.images

    def rung_images(self, reduction_factor: int, *, pauses: bool = False) -> tuple[int, ...]:
        """Images at which a trial is evaluated, ascending; the last is the whole budget.

        By default each is the next one's share 1 / reduction factor, as far as 8 % of the budget. Where trials pause,
        the first is there, or at `FEWEST_PAUSE_IMAGES` if that is later; in a small budget it is the only one.

        Raises:
            ConfigError: `images` is still `auto`, a rung lies beyond the budget, or the first too early.
        """
        images = self._known_images
        if isinstance(self.rungs, tuple):
            return self._listed_rungs(self.rungs, images)
        first = _first_pause(images) if pauses else FIRST_RUNG_SHARE
        once = pauses and images < SMALL_IMAGES
        shares = [1.0] if once else _shares(reduction_factor, first)
        if pauses and shares[-1] >= LEAST_STRETCH * first:
            shares.append(first)
        most = len(shares)
        count = most if self.rungs is None else self.rungs
        require(
            count <= most,
            f"budget.rungs must be at most {most} with pruner.reduction_factor {reduction_factor}, but is {count}: "
            f"the first rung would lie before {first:.0%} of the budget",
        )
        return tuple(sorted({max(1, round(images * share)) for share in shares[:count]}))

    @staticmethod
    def _listed_rungs(rungs: tuple[int, ...], images: int) -> tuple[int, ...]:
        require(rungs[-1] <= images, f"budget.rungs must not exceed budget.images ({images}), but reach {rungs[-1]}")
        require(
            rungs[0] >= FIRST_RUNG_SHARE * images,
            f"the first of budget.rungs must be at least {FIRST_RUNG_SHARE:.0%} of budget.images ({images}), but is "
            f"{rungs[0]}: earlier ranks are noise",
        )
        return rungs if rungs[-1] == images else (*rungs, images)


def _first_pause(images: int) -> float:
    """The share of a budget after which a trial pauses first."""
    least = SMALL_FIRST_SHARE if images < SMALL_IMAGES else FIRST_RUNG_SHARE
    return max(least, min(1.0, FEWEST_PAUSE_IMAGES / images))


def _shares(reduction_factor: int, first: float) -> list[float]:
    """The rungs' shares of the budget, none below `first`, the last rung's first."""
    shares = [1.0]
    while shares[-1] / reduction_factor >= first:
        shares.append(shares[-1] / reduction_factor)
    return shares


def automatic_images(training_images: int) -> int:
    """The default budget of a full trial: 12 epochs (Detectron2's 1x schedule), but 960 to 24,000 images.

    Below, hardly any configuration gets going; above, a trial is no longer a short one. A multiple of 48, which
    makes whole batches of 16 at a third of it.
    """
    images = min(max(_EPOCHS * training_images, _FEWEST_IMAGES), _MOST_IMAGES)
    return -(-images // 48) * 48
