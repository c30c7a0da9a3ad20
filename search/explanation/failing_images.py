"""The images of a batch in which a trial failed, small, with their boxes."""

import contextlib
from collections.abc import Sequence

import numpy as np

from detector.config import Canvas
from detector.data.dataset import Dataset, Image
from detector.data.formats.annotation import DataError
from detector.data.image_cache import letterbox
from search.drawing.boxes_on_image import BoxesOnImage
from search.explanation.embedded_image import EmbeddedImage

MOST_IMAGES = 16
LONG_SIDE_PX = 240


def thumbnails(train: Dataset, canvas: Canvas, names: Sequence[str]) -> list[EmbeddedImage]:
    """A thumbnail of each image that is in the training data and can be decoded, in the order of the names.

    At most `MOST_IMAGES`.
    """
    by_name = {image.name: image for image in train.images}
    found = []
    for name in dict.fromkeys(names[:MOST_IMAGES]):
        with contextlib.suppress(DataError, KeyError):  # its name stands in the report all the same
            found.append(_thumbnail(by_name[name], canvas))
    return found


def _thumbnail(image: Image, canvas: Canvas) -> EmbeddedImage:
    boxes = image.training_boxes.astype(np.float64) * letterbox(image, canvas)[0]
    drawn = BoxesOnImage(image, canvas, long_side_px=LONG_SIDE_PX)
    drawn.outline(boxes, "yellow")
    return EmbeddedImage(
        title=image.name,
        description=f"{len(boxes)} box{'' if len(boxes) == 1 else 'es'}, {image.width_px} × {image.height_px} px",
        media_type="image/png",
        content=drawn.png(),
    )
