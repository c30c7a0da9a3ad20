"""The standard error of AP against resampling the images themselves, and against many other sets of images."""

import numpy as np
import pytest

from detector.data.dataset import Dataset
from detector.data.metrics.average_precision import Detections, coco_evaluation, coco_metrics
from detector.data.metrics.precision_error import precision_error
from tests.detector.data.metrics.test_average_precision import ONE, TWO, _dataset, _found, _image

ALL = slice(None)
Pair = tuple[Dataset, list[Detections]]


def drawn(images: int, generator: np.random.Generator) -> Pair:
    """Images with one to three objects of two classes; a detector that misses some, shifts others, and dreams."""
    pictures, found = [], []
    for _ in range(images):
        count = int(generator.integers(1, 4))
        corners = generator.uniform(0, 140, (count, 2))
        boxes = np.hstack([corners, corners + generator.uniform(20, 50, (count, 2))])
        labels = generator.integers(0, 2, count).tolist()
        pictures.append(_image([tuple(box) for box in boxes.tolist()], labels))
        rows = [
            (tuple((box + generator.normal(0, 4, 4)).tolist()), float(generator.beta(4, 2)), label)
            for box, label in zip(boxes, labels, strict=True)
            if generator.random() < 0.8
        ]
        if generator.random() < 0.5:
            rows.append(((5.0, 5.0, 40.0, 40.0), float(generator.beta(2, 3)), 0))
        found.append(_found(*rows))
    return _dataset(*pictures), found


def again(pair: Pair, places: list[int]) -> float:
    """AP of the images at those places, COCOeval run anew."""
    dataset, found = pair
    return coco_metrics(dataset.select(places), [found[place] for place in places])["ap"]


def test_it_is_what_running_cocoeval_anew_on_drawn_images_gives():
    pair = drawn(24, np.random.default_rng(0))
    generator = np.random.default_rng(0)
    times = generator.multinomial(24, np.full(24, 1 / 24), size=40)
    anew = [again(pair, [place for place, count in enumerate(row) for _ in range(count)]) for row in times]
    evaluation = coco_evaluation(*pair)
    assert precision_error(evaluation, ALL, resamples=40, seed=0) == pytest.approx(np.std(anew, ddof=1), rel=1e-2)


def test_it_tells_how_far_ap_differs_between_sets_of_images():
    generator = np.random.default_rng(1)
    sets = [drawn(40, generator) for _ in range(60)]
    aps = [coco_metrics(*pair)["ap"] for pair in sets]
    errors = [coco_metrics(*pair)["ap_error"] for pair in sets]
    assert np.mean(errors) == pytest.approx(np.std(aps), rel=0.3)


def test_it_falls_with_the_square_root_of_the_images():
    few, many = (coco_metrics(*drawn(count, np.random.default_rng(2)))["ap_error"] for count in (25, 400))
    assert many == pytest.approx(few / 4, rel=0.5)


def test_a_detector_without_a_mistake_has_none():
    pair = _dataset(*[_image([ONE, TWO], [0, 1])] * 5), [_found((ONE, 0.9, 0), (TWO, 0.8, 1))] * 5
    assert coco_metrics(*pair)["ap_error"] == 0


def test_nothing_found_is_known_exactly_and_one_image_tells_nothing():
    nothing = [_found()] * 3
    assert coco_metrics(_dataset(*[_image([ONE], [0])] * 3), nothing)["ap_error"] == 0
    assert "ap_error" not in coco_metrics(_dataset(_image([ONE], [0])), nothing[:1])


def test_images_without_objects_are_drawn_too():
    dataset = _dataset(_image([ONE], [0]), _image([], []), _image([], []))
    found = [_found((ONE, 0.5, 0)), _found((ONE, 0.9, 0)), _found()]
    assert 0 < coco_metrics(dataset, found)["ap_error"] < 1
