"""Training faults that are planted are named first, and nothing is said of an honest trial; on the real trainer.

The two that take 300 steps are left to `python -m benchmarks.planted_training`.
"""

import pytest

from benchmarks.planted_training import QUICK_CASES, Case, UntrainedWeights, warm_trainer

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("case", QUICK_CASES, ids=lambda case: case.name)
def test_a_planted_fault_is_named_first(case: Case | UntrainedWeights) -> None:
    assert case.run() == case.expected


def test_all_of_them_shared_one_executable() -> None:
    QUICK_CASES[0].run()
    assert warm_trainer().train_step.traces == 1
