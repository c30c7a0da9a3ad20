"""The AP of a study's detector before any training: what a trial must beat to have learnt anything.

Measured by the launch that begins a study on its own machine, on the study's validation images; kept with the study.
"""

import math

from search.report.ranking import RankedTrial
from storage.study import StoredStudy

ATTRIBUTE = "AP of the untrained detector"  # of the study, in Optuna's tables: the dashboard shows it


def keep_untrained(study: StoredStudy, ap: float) -> None:
    """Keep it with the study."""
    with study.database.guarded():
        study.database.optuna.set_study_user_attr(study.id, ATTRIBUTE, ap)


def read_untrained(study: StoredStudy) -> float | None:
    """The AP, in [0, 1], or None where it was not measured."""
    with study.database.guarded():
        found = study.database.optuna.get_study_user_attrs(study.id).get(ATTRIBUTE)
    return float(found) if isinstance(found, int | float) and math.isfinite(found) else None


def has_learnt(best: RankedTrial | None, untrained_ap: float | None) -> bool:
    """Whether the best trial is better than no training at all; where that is unknown, whether there is one."""
    return best is not None and (untrained_ap is None or (best.ap or 0.0) > untrained_ap)


def untrained_text(best: RankedTrial | None, untrained_ap: float | None) -> str:
    """`an untrained detector: AP 0.004`, and whether the best trial is no better; empty where it is unknown."""
    if untrained_ap is None:
        return ""
    no_better = best is not None and not has_learnt(best, untrained_ap)
    return f"an untrained detector: AP {untrained_ap:.3f}" + "; the best trial is no better" * no_better
