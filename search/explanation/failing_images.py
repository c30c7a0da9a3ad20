"""The images of a batch in which a trial failed, small, with their boxes."""

import contextlib
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw

from detector.config import Canvas
from detector.data.dataset import Dataset, Image
from detector.data.formats.annotation import DataError
from detector.data.image_cache import letterbox, place_on_canvas
from search.explanation.picture import Picture

MOST_IMAGES = 16
LONG_SIDE_PX = 240
BOX_COLOUR = (255, 255, 0)


def thumbnails(train: Dataset, canvas: Canvas, names: Sequence[str]) -> list[Picture]:
    """A picture of each image that is in the training data and can be decoded, in the order of the names.

    At most `MOST_IMAGES`.
    """
    by_name = {image.name: image for image in train.images}
    pictures = []
    for name in dict.fromkeys(names[:MOST_IMAGES]):
        with contextlib.suppress(DataError, KeyError):  # its name stands in the report all the same
            pictures.append(_thumbnail(by_name[name], canvas))
    return pictures


def _thumbnail(image: Image, canvas: Canvas) -> Picture:
    pixels = Pillow.fromarray(place_on_canvas(image, canvas))
    zoom = LONG_SIDE_PX / max(pixels.size)
    picture = pixels.resize((round(pixels.width * zoom), round(pixels.height * zoom)), Pillow.Resampling.BICUBIC)
    draw = ImageDraw.Draw(picture)
    boxes = image.training_boxes.astype(np.float64) * letterbox(image, canvas)[0] * zoom
    for y1, x1, y2, x2 in boxes.tolist():
        draw.rectangle((x1, y1, x2, y2), outline=BOX_COLOUR)
    stream = io.BytesIO()
    picture.save(stream, format="PNG")
    return Picture(
        title=image.name,
        description=f"{len(boxes)} box{'' if len(boxes) == 1 else 'es'}, {image.width_px} × {image.height_px} px",
        media_type="image/png",
        content=stream.getvalue(),
    )
