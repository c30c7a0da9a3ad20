"""Before a study exists: every image is checked and decoded once, and bad ones are left out where the study says so."""

from collections.abc import Callable, Iterator
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
        BadImages: some can't be used, and are not to be skipped.
        ConfigError: more images than may be skipped can't be used; or the data can't be used at all.
    """
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
            _require_few(here, train, validation)
            return UsableData(specification=settled, train=train, validation=validation, left_out=tuple(left_out))


def _decode(
    specification: Specification, train: "Dataset", validation: "Dataset", cache: Path, progress: Progress
) -> None:
    from detector.data.image_cache import open_cache

    canvas = specification.detector.detector().canvas
    for name, part in (("training", train), ("validation", validation)):
        open_cache(part, canvas, cache, progress=partial(progress, name))


def _require_few(data: Data, train: "Dataset", validation: "Dataset") -> None:
    for name, left_out, images in _shares(data, train, validation):
        whole = images + len(left_out)
        require(
            len(left_out) <= max(1, data.most_bad_share * whole),
            f"{len(left_out)} of {whole} {name} images can't be used, and `data.most_bad_share` is "
            f"{data.most_bad_share:g}; mend them, or raise it:\n{problems_message(list(left_out))}",
        )


def _shares(data: Data, train: "Dataset", validation: "Dataset") -> Iterator[tuple[str, tuple[str, ...], int]]:
    left_out = data.left_out or LeftOut()
    if data.sources()[1] is None:  # both parts are of one source
        yield "annotated", left_out.train, len(train.images) + len(validation.images)
    else:
        yield "training", left_out.train, len(train.images)
        yield "validation", left_out.validation, len(validation.images)
