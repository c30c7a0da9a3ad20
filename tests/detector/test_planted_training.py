"""Every training fault that is planted is named first, and nothing is said of an honest trial; on the real trainer."""

import pytest

from benchmarks.planted_training import CASES, Case, UntrainedWeights, warm_trainer

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_planted_fault_is_named_first(case: Case | UntrainedWeights) -> None:
    assert case.run() == case.expected


def test_all_of_them_shared_one_executable() -> None:
    CASES[0].run()
    assert warm_trainer().train_step.traces == 1
