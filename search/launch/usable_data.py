"""Before a study exists: every image is checked and decoded once, and bad ones are left out where the study says so."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from detector.config import require
from detector.data.formats.annotation import BadImages, problems_message
from search.study.data_section import Data, LeftOut
from search.study.specification import Specification, resolved
from search.worker.local_paths import LocalPaths

if TYPE_CHECKING:
    from detector.data.dataset import Dataset

Progress = Callable[[str, int, int], None]  # what is decoded, images done, images in all


@dataclass(frozen=True, slots=True, kw_only=True)
class UsableData:
    """What a study trains and evaluates on, all of it decoded."""

    specification: Specification  # with what is left out, the canvas and the budget
    train: "Dataset"
    validation: "Dataset"
    left_out: tuple[str, ...]  # one line for each image


def usable_data(specification: Specification, paths: LocalPaths, *, cache: Path, progress: Progress) -> UsableData:
    """The data of the study as this machine has it; decoded images are kept in the cache folder, for the trainers.

    Raises:
        ConfigError: some images can't be used and are not to be skipped, or are too many; or the data can't be used.
    """
    given = specification.data.left_out or LeftOut()
    left_out: list[str] = []
    while True:
        here = paths.find(specification.data)
        try:
            train, validation = here.load(seed=specification.sampler.seed)
            sizes_px = [(image.height_px, image.width_px) for image in train.images]
            settled = resolved(specification, training_images=len(train.images), sizes_px=sizes_px)
            _decode(settled, train, validation, cache, progress)
        except BadImages as error:
            left = here.without(error).left_out
            specification = replace(specification, data=replace(specification.data, left_out=left))
            left_out += [defect.message for defect in error.defects]
        else:
            _require_few(here, given, train, validation)
            return UsableData(specification=settled, train=train, validation=validation, left_out=tuple(left_out))


def _decode(
    specification: Specification, train: "Dataset", validation: "Dataset", cache: Path, progress: Progress
) -> None:
    from detector.data.image_cache import open_cache

    canvas = specification.detector.detector().canvas
    for name, part in (("training", train), ("validation", validation)):
        open_cache(part, canvas, cache, progress=partial(progress, name))


def _require_few(data: Data, given: LeftOut, train: "Dataset", validation: "Dataset") -> None:
    """Raise `ConfigError` if more was left out, beside what was given, than may be skipped."""
    now = data.left_out or LeftOut()
    of_train, of_validation = now.train[len(given.train) :], now.validation[len(given.validation) :]
    counts = (len(train.images), len(validation.images))
    if data.sources()[1] is None:  # both parts are of one source
        splits = [("annotated", of_train, sum(counts))]
    else:
        splits = [("training", of_train, counts[0]), ("validation", of_validation, counts[1])]
    for name, skipped, images in splits:
        whole = images + len(skipped)
        require(
            data.bad_are_few(len(skipped), of=whole),
            f"{len(skipped)} of {whole} {name} images can't be used, and `data.most_bad_share` is "
            f"{data.most_bad_share:g}; mend them, or raise it:\n{problems_message(list(skipped))}",
        )
