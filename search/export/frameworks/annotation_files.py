"""The study's own splits as COCO JSON beside the export: its boxes, its classes in its order, its images left out.

So every framework trains on the same images, whatever format the annotations have; the images stay where they are.
"""

import json
import os
from pathlib import Path

from detector.config import Canvas
from detector.data.dataset import Dataset
from detector.data.written.coco import document
from detector.data.written.split import WrittenSplit
from search.export.frameworks.head import WRITTEN
from search.export.frameworks.recipe import SplitFiles

TRAIN, VALIDATION = "train.json", "validation.json"


def annotation_text(dataset: Dataset) -> str:
    """The JSON of one split; halves of characters, which JSON may hold, are escaped."""
    split = WrittenSplit(name="", dataset=dataset)
    return json.dumps({"info": {"description": WRITTEN}, **document(split)})


def split_files(dataset: Dataset, name: str, *, folder: Path, canvas: Canvas) -> SplitFiles:
    """Where the split lies, seen from the folder of the export."""
    images = Path(os.path.relpath(os.path.abspath(dataset.source.images), os.path.abspath(folder)))
    lies = canvas.width_px - canvas.height_px
    turned = sum((image.width_px - image.height_px) * lies < 0 for image in dataset.images)
    return SplitFiles(annotations=name, images=images.as_posix(), count=len(dataset.images), turned=turned)
