"""Writes a dataset anew in another format: images copied, boxes and classes as they were read."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from detector.data.dataset import DataError, load_dataset
from detector.data.written import coco, voc, yolo
from detector.data.written.split import WrittenSplit
from detector.data_source import DataFormat, DataSource

#: Writes all splits into an empty folder and returns where each image goes, in the order of the splits' images.
WRITERS: dict[DataFormat, Callable[[Path, Sequence[WrittenSplit]], list[list[Path]]]] = {
    DataFormat.COCO: coco.write,
    DataFormat.VOC: voc.write,
    DataFormat.YOLO: yolo.write,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """What was written."""

    images: int
    boxes: int
    crowds_left_out: int  # the format has no mark for them
    dropped: int  # unusable boxes


def convert(
    train: DataSource,
    validation: DataSource | None,
    *,
    to: DataFormat,
    output: Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Converted:
    """Write the data in that format into a new or empty folder; the source stays as it is.

    Raises:
        DataError: the data can't be used, or the folder isn't empty.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise DataError(f"{output}: is not an empty folder; name a new one, nothing is overwritten")
    whole = load_dataset(train)
    splits = [WrittenSplit(name="train", dataset=whole)]
    if validation is not None:
        splits.append(WrittenSplit(name="val", dataset=load_dataset(validation, classes=whole.classes)))
    output.mkdir(parents=True, exist_ok=True)
    places = WRITERS[to](output, splits)
    pairs = [
        (image.path, place)
        for split, of_split in zip(splits, places, strict=True)
        for image, place in zip(split.dataset.images, of_split, strict=True)
    ]
    for done, (origin, place) in enumerate(pairs):
        progress(done, len(pairs))
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(origin, place)
    datasets = [split.dataset for split in splits]
    crowds = sum(int(image.crowd.sum()) for each in datasets for image in each.images)
    return Converted(
        images=len(pairs),
        boxes=sum(len(image.boxes) for each in datasets for image in each.images) - crowds * (to is DataFormat.YOLO),
        crowds_left_out=crowds if to is DataFormat.YOLO else 0,
        dropped=sum(len(each.dropped) for each in datasets),
    )
