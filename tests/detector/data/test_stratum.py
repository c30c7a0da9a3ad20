"""A part of a dataset that stands for the whole."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.data.stratum import stratified
from tests.detector.data.metrics.test_average_precision import ONE, _dataset, _image


def with_labels(*labels: list[int]):
    return _dataset(*[_image([ONE] * len(own), own) for own in labels], classes=("a", "b", "c"))


def test_a_rare_class_is_there_however_few_images_are_taken():
    dataset = with_labels(*[[0]] * 40, [1], *[[0]] * 40, [2])
    taken = stratified(dataset, 3)
    assert {label for place in taken for label in dataset.images[place].labels.tolist()} == {0, 1, 2}


def test_frequent_classes_keep_their_share():
    dataset = with_labels(*[[0]] * 60, *[[1]] * 20)
    taken = Counter(dataset.images[place].labels[0] for place in stratified(dataset, 20))
    assert taken == {0: 15, 1: 5}


@pytest.mark.parametrize("most", [4, 9])
def test_as_many_as_there_are_is_all_of_them(most):
    assert stratified(with_labels([0], [1], [], [0, 2]), most) == [0, 1, 2, 3]


@given(labels=st.lists(st.lists(st.integers(0, 2), max_size=3), min_size=1, max_size=30), most=st.integers(1, 30))
def test_it_takes_so_many_different_images_and_the_same_each_time(labels: list[list[int]], most: int):
    dataset = with_labels(*labels)
    taken = stratified(dataset, most)
    assert len(set(taken)) == len(taken) == min(most, len(labels))
    assert taken == sorted(taken) == stratified(dataset, most)
