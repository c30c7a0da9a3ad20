"""The step, the optimizer and whole trials on JAX: the same tests, in a process with that backend."""

from tests.detector.jax_process import ON_JAX, passed_on_jax

SUITES = ("test_sampled_rpn.py", "test_optimizer.py", "test_step.py", "test_training.py")

pytestmark = ON_JAX


def test_the_step_and_whole_trials_pass_their_tests() -> None:
    summary = passed_on_jax("-m", "not slow", *(f"tests/detector/{name}" for name in SUITES))
    assert " passed" in summary
    assert " failed" not in summary
