"""Fifty trials on JAX; a file of its own, so that it runs beside the other tests of that backend."""

from tests.support.jax_process import ON_JAX, passed_on_jax

pytestmark = ON_JAX


def test_fifty_different_trials_share_one_executable() -> None:
    assert passed_on_jax("tests/detector/training/test_many_trials.py").startswith("1 passed")
