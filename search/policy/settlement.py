"""Whether a study is settled: more trials are likely to add less to its best AP than that is uncertain by.

Found by whichever worker would begin a new trial, and kept with the study, so that all workers and launches agree.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.linalg import LinAlgError

from search.policy.model.choice import Evidence
from search.policy.model.cube import Cube
from search.policy.model.prospect import prospect
from storage.study import StoredStudy

ATTRIBUTE = "settled"  # of the study, in Optuna's tables: the dashboard shows it
FURTHER = 4  # one more trial for so many that were begun is looked at
FEWEST_FURTHER = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """Why no new trial begins."""

    begun: int  # trials by then
    further: int  # so many more
    gain: float  # would be likely to add so much to the best AP
    error: float  # which is uncertain by so much

    def __str__(self) -> str:
        return (
            f"settled after {self.begun} trials: {self.further} more are likely to add {self.gain:.3f} to the best AP, "
            f"which is uncertain by {self.error:.3f}"
        )


def settlement(cube: Cube, evidence: Evidence, *, begun: int, seed: int) -> Settlement | None:
    """Why the study may end now; None where it is not settled, or nobody can say."""
    error = _error_of_best(evidence)
    if not error or not cube.sides:
        return None
    further = max(FEWEST_FURTHER, begun // FURTHER)
    try:
        likely = prospect(cube, evidence, trials=further, generator=np.random.default_rng([seed, begun]))
    except LinAlgError:
        return None
    if likely is None or likely.gain >= error:
        return None
    return Settlement(begun=begun, further=further, gain=likely.gain, error=error)


def keep_settlement(study: StoredStudy, found: Settlement) -> None:
    """Keep it with the study: no new trial begins from then on."""
    with study.database.guarded():
        study.database.optuna.set_study_user_attr(study.id, ATTRIBUTE, asdict(found))


def read_settlement(study: StoredStudy) -> Settlement | None:
    """Why the study is settled, or None."""
    with study.database.guarded():
        kept: Any = study.database.optuna.get_study_user_attrs(study.id).get(ATTRIBUTE)
    return Settlement(**kept) if isinstance(kept, dict) else None


def _error_of_best(evidence: Evidence) -> float | None:
    """The standard error of the best value at the last rung; None where nobody has come to it."""
    if not evidence.readings.size or np.isnan(evidence.readings[:, -1]).all():
        return None
    return float(evidence.errors[int(np.nanargmax(evidence.readings[:, -1])), -1])
