"""The fit on the host against what the compiled step does: its own grid and its own matching."""

import numpy as np
from keras import ops

from detector.boxes import pairwise_iou
from detector.config import Anchors, Canvas
from detector.network.anchors import cell_anchors, grid_anchors, grid_mask
from detector.network.matching import POSITIVE, match
from spaces.anchor_fit import CanvasBoxes, best_ious, positive_anchors

CANVAS = Canvas(height_px=96, width_px=160)


def test_the_step_labels_as_many_anchors_positive_as_the_fit_counts():
    random = np.random.default_rng(5)
    lengths = np.exp(random.uniform(np.log(3), np.log(90), (12, 2)))
    low = random.random((12, 2)) * (np.array([96, 160]) - lengths)
    boxes = np.concatenate([low, low + lengths], axis=1).astype(np.float32)
    anchors = Anchors(sizes_px=((9.0, 13.0), (20.0, 28.0), (40.0, 56.0), (80.0, 113.0), (160.0, 226.0)))
    cells, mask = cell_anchors(anchors, 8)
    iou = pairwise_iou(grid_anchors(ops.convert_to_tensor(cells), CANVAS)[None], boxes[None])
    labels, _ = match(
        iou, grid_mask(ops.convert_to_tensor(mask), CANVAS), np.ones((1, 12), bool),
        positive_iou=0.7, negative_iou=0.3, low_quality=1,
    )  # fmt: skip
    data = CanvasBoxes(
        canvas=CANVAS,
        boxes=boxes.astype(np.float64),
        labels=np.zeros(12, np.int64),
        areas=np.ones(12),
        images=np.zeros(12, np.int64),
        image_count=1,
        classes=("a",),
    )
    best = ops.convert_to_numpy(iou)[0].max(axis=0)  # a slot not in use is an empty box, whose IoU is 0
    np.testing.assert_allclose(best_ious(data.boxes, anchors, CANVAS), best, atol=1e-5)
    assert positive_anchors(data, anchors).tolist() == [int((ops.convert_to_numpy(labels) == POSITIVE).sum())]
