import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from detector.randomness import Stream, uniform


def drawn(seed: int, stream: int, index: list[int], count: int) -> np.ndarray:
    return ops.convert_to_numpy(uniform(seed, stream, np.array(index, np.int32), count))


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])


def test_numbers_fill_the_unit_interval_evenly() -> None:
    numbers = drawn(3, Stream.ANCHOR_SAMPLING, [0, 1, 2, 3], 50_000)
    assert numbers.dtype == np.float32
    assert numbers.min() >= 0
    assert numbers.max() < 1
    # 200,000 numbers: deviation of the mean √(1/12 / n) = 0.00065, of the variance √(1/180 / n) = 0.00017
    assert abs(numbers.mean() - 1 / 2) < 5 * 0.00065
    assert abs(numbers.var() - 1 / 12) < 5 * 0.00017
    # Kolmogorov–Smirnov: the distance of the distributions exceeds 1.95 / √n once in a thousand
    ordered = np.sort(numbers.ravel().astype(float))
    distance = np.abs(ordered - (np.arange(len(ordered)) + 0.5) / len(ordered)).max()
    assert distance < 1.95 / np.sqrt(len(ordered))
    # χ² over 256 bins: mean 255, deviation √510
    counts = np.histogram(numbers, bins=256, range=(0, 1))[0]
    chi_square = ((counts - len(ordered) / 256) ** 2 / (len(ordered) / 256)).sum()
    assert abs(chi_square - 255) < 5 * np.sqrt(510)


def test_pairs_of_successive_numbers_fill_the_square_evenly() -> None:
    numbers = drawn(4, Stream.ROI_SAMPLING, list(range(20)), 20_001)
    counts = np.histogram2d(numbers[:, :-1].ravel(), numbers[:, 1:].ravel(), bins=32, range=[[0, 1], [0, 1]])[0]
    expected = 400_000 / 1024
    assert abs(((counts - expected) ** 2 / expected).sum() - 1023) < 5 * np.sqrt(2046)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param((7, 1, 5), (8, 1, 5), id="seeds"),
        pytest.param((7, 1, 5), (7, 2, 5), id="streams"),
        pytest.param((7, 1, 5), (7, 1, 6), id="images"),
        pytest.param((0, 1, 0), (1, 1, 0), id="seed 0 and 1"),
        pytest.param((1, 1, 2), (2, 1, 1), id="seed and image swapped"),
    ],
)
def test_neighbours_are_independent(first: tuple, second: tuple) -> None:
    one, other = (drawn(seed, stream, [index], 40_000) for seed, stream, index in (first, second))
    # deviation of a correlation: 1 / √40,000 = 0.005; shifted against each other as well
    for shift in (0, 1, 2, -1):
        assert abs(correlation(one, np.roll(other, shift))) < 5 * 0.005
    assert not np.intersect1d(one[0, :50], other[0, :50]).size


def test_the_first_numbers_of_successive_images_are_independent() -> None:
    numbers = drawn(11, Stream.AUGMENTATION, list(range(20_000)), 9)  # what augmentation draws
    assert np.abs(numbers.mean(axis=0) - 0.5).max() < 5 * 0.289 / np.sqrt(20_000)
    table = np.corrcoef(np.concatenate([numbers[:-1], numbers[1:]], axis=1).T)
    assert np.abs(table - np.eye(18)).max() < 5.5 / np.sqrt(20_000)


def test_numbers_hang_on_the_image_and_not_on_its_place_in_the_batch() -> None:
    together = drawn(5, 1, [10, 20, 30], 100)
    assert np.array_equal(together[[2, 0]], drawn(5, 1, [30, 10], 100))
    assert np.array_equal(together[:, :7], drawn(5, 1, [10, 20, 30], 7))


def test_a_traced_seed_gives_what_a_plain_one_gives() -> None:
    @tf.function
    def traced(seed: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
        return uniform(seed, 1, index, 50)

    for seed in (0, 1, 2**31 - 1):
        found = traced(tf.constant(seed), tf.constant([3, 4]))
        assert np.array_equal(found.numpy(), drawn(seed, 1, [3, 4], 50))
    assert traced.experimental_get_tracing_count() == 1


def test_the_hash_is_a_known_one() -> None:
    """Recomputed in Python integers, so that the numbers of a seed never change unnoticed."""
    limit, golden = 2**32, 0x9E3779B9

    def mix(word: int) -> int:
        word = (word ^ (word >> 16)) * 0x7FEB352D % limit
        word = (word ^ (word >> 15)) * 0x846CA68B % limit
        return word ^ (word >> 16)

    def number(seed: int, stream: int, index: int, position: int) -> float:
        key = mix((seed + golden) % limit)
        key = mix(key ^ mix(stream * golden % limit))
        key = mix(key ^ mix((index * golden + 1) % limit))
        bits = mix((mix((position * golden + key) % limit) + mix((key + golden) % limit)) % limit)
        return (bits >> 8) / 2**24

    found = drawn(123, 2, [0, 77], 5)
    assert found.tolist() == [[number(123, 2, index, position) for position in range(5)] for index in (0, 77)]
