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
    seed, so the split depends on neither order nor machine.

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
        DataError: a part would be left without boxes.
    """
    require(0 < share < 1, f"the validation share must lie between 0 and 1, but is {share}")
    count = len(whole.images)
    if count < 2:
        raise DataError("one image can't be split into training and validation data; name validation data")
    names = [f"{seed}/{image.name}".encode(errors="surrogatepass") for image in whole.images]
    ranked = sorted(range(count), key=lambda index: hashlib.sha256(names[index]).digest())
    held_out = min(count - 1, max(1, round(share * count)))
    parts = {"validation": whole.select(sorted(ranked[:held_out])), "training": whole.select(sorted(ranked[held_out:]))}
    for name, part in parts.items():
        if not part.trainable:
            raise DataError(
                f"the split by share {share} and seed {seed} leaves no box for {name} "
                f"({len(part.images)} of {count} images); choose another share or seed, or name validation data"
            )
    return parts["training"], parts["validation"]


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
