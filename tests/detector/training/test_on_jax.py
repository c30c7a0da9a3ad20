"""The step, the optimizer and whole trials on JAX: the same tests, in processes with that backend."""

import pytest

from tests.support.jax_process import ON_JAX, passed_on_jax

pytestmark = ON_JAX


SUITES = [
    "network/test_sampled_rpn.py",
    "training/test_optimizer.py",
    "training/test_step.py",
    "training/test_trainer.py",
]


@pytest.mark.parametrize("suite", SUITES)
def test_the_step_and_whole_trials_pass_their_tests(suite: str) -> None:
    summary = passed_on_jax("-m", "not slow", f"tests/detector/{suite}")
    assert " passed" in summary
    assert " failed" not in summary
