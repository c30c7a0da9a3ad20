import numpy as np
import pytest
from keras import ops

from detector.network.sampling import sample


def sampled(labels: np.ndarray, keys: np.ndarray, slots: int, count: int, fraction: float) -> tuple:
    result = sample(labels, keys, slots=slots, count=count, positive_fraction=np.float32(fraction))
    return tuple(ops.convert_to_numpy(value) for value in result)


def reference(labels: np.ndarray, keys: np.ndarray, slots: int, count: int, fraction: float) -> list[tuple[int, int]]:
    """One image: (index, kind) of each slot."""
    by_key = sorted(range(len(labels)), key=lambda n: -keys[n])
    positives = [n for n in by_key if labels[n] == 1][: int(count * fraction + 1e-4)]
    negatives = [n for n in by_key if labels[n] == 0][: count - len(positives)]
    chosen = [(n, 1) for n in positives] + [(n, 0) for n in negatives]
    return chosen + [(0, -1)] * (slots - len(chosen))


@pytest.mark.parametrize(
    ("share", "slots", "count", "fraction"),
    [
        pytest.param((0.3, 0.5), 16, 16, 0.25, id="plenty of both"),
        pytest.param((0.02, 0.9), 16, 16, 0.5, id="few positives: negatives fill"),
        pytest.param((0.9, 0.02), 16, 16, 0.5, id="few negatives: slots stay unused"),
        pytest.param((0.0, 0.0), 16, 16, 0.5, id="nothing but ignored ones"),
        pytest.param((0.5, 0.5), 16, 7, 0.5, id="fewer than slots"),
        pytest.param((0.5, 0.5), 16, 10, 0.7, id="a fraction that float32 rounds down"),
        pytest.param((0.5, 0.5), 16, 16, 1.0, id="positives only, then negatives"),
        pytest.param((0.5, 0.5), 16, 16, 0.0, id="no positives"),
        pytest.param((0.5, 0.4), 100, 90, 0.3, id="more slots than candidates"),
    ],
)
def test_sampling_agrees_with_the_slow_reference(share: tuple, slots: int, count: int, fraction: float) -> None:
    rng = np.random.default_rng(5)
    labels = rng.choice([1, 0, -1], (100, 60), p=[*share, 1 - sum(share)]).astype(np.int32)
    keys = rng.permuted(np.tile(np.arange(60) / 64, (100, 1)), axis=1).astype(np.float32)
    indices, kinds = sampled(labels, keys, slots, count, fraction)
    assert indices.dtype == kinds.dtype == np.int32
    for image in range(100):
        found = list(zip(indices[image].tolist(), kinds[image].tolist(), strict=True))
        assert found == reference(labels[image], keys[image], slots, count, fraction)
        used = [index for index, kind in found if kind >= 0]
        assert len(used) == len(set(used))


def test_every_candidate_is_chosen_equally_often() -> None:
    rng = np.random.default_rng(6)
    labels = np.tile(np.array([1] * 10 + [0] * 40, np.int32), (20_000, 1))
    indices, kinds = sampled(labels, rng.random((20_000, 50), np.float32), 12, 12, 0.25)
    times = np.bincount(indices[kinds >= 0], minlength=50)
    # 3 of 10 positives: 6,000 each, deviation √(20,000 · 0.3 · 0.7) = 65; 9 of 40 negatives: 4,500 each, deviation 59
    assert np.abs(times[:10] - 6000).max() < 5 * 65
    assert np.abs(times[10:] - 4500).max() < 5 * 59
