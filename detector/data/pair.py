"""Training and validation data of one study: the same classes, and no image in common."""

import hashlib
from pathlib import Path

from detector.config import require
from detector.data.dataset import Dataset, load_dataset
from detector.data.formats.annotation import DataError, Fault, problems_message
from detector.data_source import DataSource


def load_pair(train: DataSource, validation: DataSource | None, *, share: float, seed: int) -> tuple[Dataset, Dataset]:
    """Training and validation data with the same classes and no image in common.

    Without validation data, `share` of the training images is held out: those whose file names hash lowest with the
    seed, so the split depends on neither order nor machine. Files of the same content stay on one side.

    Raises:
        DataError: as `load_dataset`; or an image is in both; or a split would be left without boxes.
    """
    whole = load_dataset(train)
    if validation is None:
        return split(whole, share=share, seed=seed)
    held_out = load_dataset(validation, classes=whole.classes)
    refuse_leakage(whole, held_out)
    return whole, held_out


def split(whole: Dataset, *, share: float, seed: int) -> tuple[Dataset, Dataset]:
    """Training and validation data out of one dataset, as `load_pair` does it.

    Raises:
        DataError: a part would be left without boxes, or all images are copies of one.
    """
    require(0 < share < 1, f"the validation share must lie between 0 and 1, but is {share}")
    count = len(whole.images)
    if count < 2:
        raise DataError("one image can't be split into training and validation data; name validation data")
    held_out = _held_out(_copies(whole, seed), min(count - 1, max(1, round(share * count))))
    rest = sorted(set(range(count)) - set(held_out))
    parts = {"validation": whole.select(held_out), "training": whole.select(rest)}
    for name, part in parts.items():
        if not part.trainable:
            raise DataError(
                f"the split by share {share} and seed {seed} leaves no box for {name} "
                f"({len(part.images)} of {count} images); choose another share or seed, or name validation data"
            )
    return parts["training"], parts["validation"]


def _copies(whole: Dataset, seed: int) -> list[list[int]]:
    """The positions of the images, those of one content together; in the order of their names' hashes."""
    names = [f"{seed}/{image.name}".encode(errors="surrogatepass") for image in whole.images]
    groups: dict[str, list[int]] = {}
    for index in sorted(range(len(names)), key=lambda index: hashlib.sha256(names[index]).digest()):
        groups.setdefault(whole.images[index].digest, []).append(index)
    if len(groups) == 1:
        raise DataError(
            f"all {len(names)} images are copies of one, byte for byte, so there is nothing to validate on; "
            "name validation data"
        )
    return list(groups.values())


def _held_out(groups: list[list[int]], count: int) -> list[int]:
    """The positions of `count` images, or of somewhat fewer where only parts of a group would fit; never of none."""
    chosen: list[int] = []
    for group in groups:
        if len(chosen) + len(group) <= count:
            chosen += group
    fewest = min(groups, key=lambda group: len(group))
    return sorted(chosen or fewest)


def refuse_leakage(train: Dataset, validation: Dataset) -> None:
    """Raise `DataError` if an image is in both."""
    paths = {image.path for image in train.images}
    contents = {(Path(image.name).name, image.digest) for image in train.images}
    shared = [
        image.name
        for image in validation.images
        if image.path in paths or (Path(image.name).name, image.digest) in contents
    ]
    if shared:
        raise DataError(
            f"{len(shared)} images are in both training and validation data, so that results would be too good; "
            f"remove them from one:\n{problems_message(shared)}",
            fault=Fault.LEAKAGE,
        )
