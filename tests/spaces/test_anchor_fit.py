import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.config import STRIDES_PX, Anchors, Canvas
from spaces.anchor_fit import CanvasBoxes, best_anchors, best_ious, fit_anchors, positive_anchors

CANVAS = Canvas(height_px=96, width_px=160)  # P6: 2 × 3 cells, the last of each row beyond the canvas


def flat(sizes, ratios=(1.0,)):
    return Anchors(sizes_px=(tuple(sizes),) * 5, ratios=tuple(ratios))


def boxes_of(*rows, canvas=CANVAS, images=None, labels=None, image_count=None, classes=("a",), areas=None):
    boxes = np.array(rows, dtype=np.float64).reshape(-1, 4)
    images = np.zeros(len(boxes), np.int64) if images is None else np.array(images)
    return CanvasBoxes(
        canvas=canvas,
        boxes=boxes,
        labels=np.zeros(len(boxes), np.int64) if labels is None else np.array(labels),
        areas=np.array(areas or np.ones(len(boxes)), dtype=np.float64),
        images=images,
        image_count=image_count or int(images.max(initial=0)) + 1,
        classes=classes,
    )


def whole_grid(anchors, canvas):
    """Every anchor of the canvas [N, 4], as the RPN has them."""
    grid = []
    for stride, sizes in zip(STRIDES_PX, anchors.sizes_px, strict=True):
        for y in range(math.ceil(canvas.height_px / stride)):
            for x in range(math.ceil(canvas.width_px / stride)):
                middle_y, middle_x = (y + 0.5) * stride, (x + 0.5) * stride
                for size in sizes:
                    for ratio in anchors.ratios:
                        height, width = size * math.sqrt(ratio), size / math.sqrt(ratio)
                        grid.append(
                            (middle_y - height / 2, middle_x - width / 2, middle_y + height / 2, middle_x + width / 2)
                        )
    return np.array(grid)


def pairwise(boxes, others):
    """IoU [n, m], written the plain way."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    areas = [np.prod(some[:, 2:] - some[:, :2], axis=1) for some in (boxes, others)]
    return shared / (areas[0][:, None] + areas[1][None] - shared)


def slow_positives(data, anchors, positive_iou):
    """Positive anchors of each image by the rule itself, over the whole grid."""
    grid = whole_grid(anchors, data.canvas)
    counts = []
    for image in range(data.image_count):
        iou = pairwise(data.boxes[data.images == image], grid)
        best = iou.max(axis=1, keepdims=True)
        counts.append(int(((iou >= positive_iou) | ((best > 1e-3) & (iou >= best - 1e-5))).any(axis=0).sum()))
    return counts


@st.composite
def scenes(draw):
    canvas = Canvas(height_px=32 * draw(st.integers(1, 3)), width_px=32 * draw(st.integers(1, 3)))
    seed = draw(st.integers(0, 2**32 - 1))
    random = np.random.default_rng(seed)
    count = draw(st.integers(1, 6))
    limits = np.array([canvas.height_px, canvas.width_px])
    lengths = np.exp(random.uniform(np.log(1.5), np.log(limits), (count, 2)))
    low = random.uniform(0, 1, (count, 2)) * (limits - lengths)
    if draw(st.booleans()):  # whole pixels, so that cells tie
        low, lengths = np.floor(low), np.ceil(lengths)
    images = np.sort(random.integers(0, 2, count))
    data = boxes_of(*np.concatenate([low, low + lengths], axis=1), canvas=canvas, images=images, image_count=2)
    sizes = draw(st.lists(st.floats(3, 120), min_size=1, max_size=2))
    return data, flat(sizes, draw(st.sampled_from([(1.0,), (0.5, 1.0, 2.0), (0.31, 1.7)])))


@settings(max_examples=60, deadline=None)
@given(scenes())
def test_the_best_iou_is_that_of_a_search_through_the_whole_grid(scene):
    data, anchors = scene
    best = best_ious(data.boxes, anchors, data.canvas)
    np.testing.assert_allclose(best, pairwise(data.boxes, whole_grid(anchors, data.canvas)).max(axis=1), atol=1e-9)
    chosen = best_anchors(data.boxes, anchors, data.canvas)
    np.testing.assert_allclose(np.diag(pairwise(data.boxes, chosen)), best, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(scenes(), st.sampled_from([0.5, 0.7]))
def test_positive_anchors_are_those_of_the_matching_rule_on_the_whole_grid(scene, positive_iou):
    data, anchors = scene
    expected = slow_positives(data, anchors, positive_iou)
    # Ties and thresholds are decided at 1e-9; two ways of computing the same IoU may differ by less.
    np.testing.assert_allclose(positive_anchors(data, anchors, positive_iou=positive_iou), expected, atol=0)


@pytest.mark.parametrize(
    ("side", "offset", "iou"),
    [
        pytest.param(8, 0, 1.0, id="centred on a cell"),
        pytest.param(8, 2, 36 / (128 - 36), id="8 px between four cells: 6² shared"),
        pytest.param(16, 2, 196 / (512 - 196), id="16 px between four cells: 14² shared"),
        pytest.param(32, 2, 900 / (2048 - 900), id="32 px between four cells: 30² shared"),
    ],
)
def test_the_offset_of_the_cells_lowers_the_fit_of_small_boxes(side, offset, iou):
    centre = 4 * 8 + 2 + offset  # cell 8 of P2 has its centre at 34
    box = (centre - side / 2, centre - side / 2, centre + side / 2, centre + side / 2)
    only_p2 = Anchors(sizes_px=((float(side),), (500.0,), (500.0,), (500.0,), (500.0,)), ratios=(1.0,))
    assert best_ious(np.array([box]), only_p2, CANVAS)[0] == pytest.approx(iou)


def test_a_box_inside_of_many_anchors_makes_all_of_them_positive():
    # 4 px within anchors of 32 px: IoU 16 / 1024 for each cell of P2 whose anchor contains it. The box spans 44 … 48,
    # centres c with c - 16 ≤ 44 and c + 16 ≥ 48 are 32 … 60: 34, 38, … 58 are 7 on each axis.
    only_p2 = Anchors(sizes_px=((32.0,), (500.0,), (500.0,), (500.0,), (500.0,)), ratios=(1.0,))
    assert positive_anchors(boxes_of((44, 44, 48, 48)), only_p2).tolist() == [49]


def test_shares_count_boxes_by_size_and_class():
    anchors = Anchors(sizes_px=((16.0,), (64.0,), (500.0,), (500.0,), (500.0,)), ratios=(1.0,))
    data = boxes_of(
        (26, 26, 42, 42),  # 16 px on the centre of a cell of P2 (34): IoU 1
        (28, 28, 92, 92),  # 64 px on the centre of a cell of P3 (60): IoU 1
        (2, 2, 4, 4),  # 2 px: at best 4 / 256
        images=[0, 0, 2],
        labels=[0, 1, 1],
        image_count=4,
        classes=("a", "b", "none"),
        areas=[32**2 - 1, 32**2, 96**2],  # of the original image: the canvas says nothing of them
    )
    fit = fit_anchors(data, anchors)
    assert fit.whole.boxes == 3
    assert (fit.whole.positive, fit.whole.half, fit.whole.negative) == pytest.approx((2 / 3, 2 / 3, 1 / 3))
    assert fit.by_size["small"].positive == 1.0
    assert (fit.by_size["medium"].boxes, fit.by_size["medium"].positive) == (2, pytest.approx(1 / 2))
    assert fit.by_size["large"].boxes == 0
    assert math.isnan(fit.by_size["large"].mean_iou)
    assert [fit.by_class[name].boxes for name in ("a", "b", "none")] == [1, 2, 0]
    assert fit.by_class["b"].negative == pytest.approx(1 / 2)
    assert fit.images_without_positives == 1  # image 2; images 1 and 3 have no box at all


def test_a_dataset_without_boxes_has_a_fit_without_figures():
    fit = fit_anchors(boxes_of(image_count=3), Anchors())
    assert fit.whole.boxes == 0
    assert math.isnan(fit.positives_per_image)


@pytest.mark.bulk
def test_ten_thousand_images_take_seconds():
    random = np.random.default_rng(0)
    canvas = Canvas(height_px=512, width_px=512)
    sides = np.exp(random.uniform(np.log(6), np.log(200), (100_000, 2)))
    low = random.random((100_000, 2)) * (512 - sides)
    boxes = np.concatenate([low, low + sides], axis=1)
    data = boxes_of(*boxes, canvas=canvas, images=np.repeat(np.arange(10_000), 10))
    begun = time.process_time()
    fit = fit_anchors(data, Anchors())
    assert fit.whole.boxes == 100_000
    assert time.process_time() - begun < 20  # measured: 2; the rest is for a busy machine
