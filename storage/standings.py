"""Where a study's trials stand: what Optuna, the leases and the outcomes say, put to `trial.standing`."""

from collections import Counter

from sqlalchemy import ColumnElement, Select, and_, case, func, or_, select, true

from storage.connection import tables
from storage.records import BestTrial
from storage.study import StoredStudy
from trial.outcome import Outcome
from trial.standing import Standing, standing


def count_standings(study: StoredStudy) -> Counter[Standing]:
    """How many trials stand where, counted by the database however many there are."""
    facts = _facts(study).subquery()
    counted = select(facts.c.state, facts.c.outcome, facts.c.leased, func.count()).group_by(
        facts.c.state, facts.c.outcome, facts.c.leased
    )
    counts: Counter[Standing] = Counter()
    with study.database.reading() as connection:
        for state, outcome, leased, count in connection.execute(counted):
            counts[_standing(state, outcome, leased)] += count
    return counts


def left_behind(study: StoredStudy) -> list[int]:
    """The numbers of the trials that were begun and have no owner, ascending. Another may be faster to claim them."""
    return _standing_so(study, Standing.LEFT_BEHIND, tables.state_of(tables.optuna_trials) == "RUNNING")


def paused(study: StoredStudy) -> list[int]:
    """The numbers of the trials that wait at a rung, ascending."""
    return _standing_so(study, Standing.PAUSED, tables.state_of(tables.optuna_trials) == "RUNNING")


def ended_elsewhere(study: StoredStudy) -> list[int]:
    """The numbers of the trials that somebody else ended, as long as nobody has recorded it."""
    return _standing_so(study, Standing.ENDED_ELSEWHERE, true())


def images_read(study: StoredStudy) -> int:
    """The highest rungs, in images, that the study's trials have a value at, all added up."""
    trials, values = tables.optuna_trials, tables.optuna_intermediate_values
    highest = (
        select(func.max(values.c.step).label("step"))
        .join(trials, values.c.trial_id == trials.c.trial_id)
        .where(trials.c.study_id == study.id)
        .group_by(values.c.trial_id)
        .subquery()
    )
    with study.database.reading() as connection:
        return int(connection.execute(select(func.coalesce(func.sum(highest.c.step), 0))).scalar_one())


def best_so_far(study: StoredStudy) -> BestTrial | None:
    """The trial with the best AP at the furthest rung that any has passed, of equals the first; None before a rung.

    A trial that ended by a fault does not count, nor one that somebody else ended.
    """
    trials, values, outcomes = tables.optuna_trials, tables.optuna_intermediate_values, tables.outcomes
    same_outcome = and_(outcomes.c.study_id == trials.c.study_id, outcomes.c.trial == trials.c.number)
    no_fault = or_(outcomes.c.outcome.is_(None), outcomes.c.outcome.not_in([o.value for o in Outcome if o.fault]))
    best = (
        select(trials.c.number, values.c.step, values.c.intermediate_value)
        .join(values, values.c.trial_id == trials.c.trial_id)
        .join(outcomes, same_outcome, isouter=True)
        .where(trials.c.study_id == study.id, values.c.intermediate_value.is_not(None), no_fault)
        .order_by(values.c.step.desc(), values.c.intermediate_value.desc(), trials.c.number)
    )
    with study.database.reading() as connection:
        row = connection.execute(best.limit(1)).first()
    return None if row is None else BestTrial(trial=row.number, rung_images=row.step, ap=row.intermediate_value)


def _standing_so(study: StoredStudy, wanted: Standing, where: ColumnElement[bool]) -> list[int]:
    with study.database.reading() as connection:
        rows = connection.execute(_facts(study).where(where).order_by(tables.optuna_trials.c.number)).all()
    return [row.number for row in rows if _standing(row.state, row.outcome, row.leased) is wanted]


def _facts(study: StoredStudy) -> Select[tuple[int, str, str | None, int]]:
    """Of each trial its number, Optuna's state, the outcome if it has one, and whether somebody holds its lease."""
    trials, leases, outcomes = tables.optuna_trials, tables.leases, tables.outcomes
    same_lease, same_outcome = (
        and_(table.c.study_id == trials.c.study_id, table.c.trial == trials.c.number) for table in (leases, outcomes)
    )
    return (
        select(
            trials.c.number,
            tables.state_of(trials).label("state"),
            outcomes.c.outcome,
            case((tables.is_free(leases), 0), else_=1).label("leased"),
        )
        .select_from(trials)
        .join(leases, same_lease, isouter=True)
        .join(outcomes, same_outcome, isouter=True)
        .where(trials.c.study_id == study.id)
    )


def _standing(state: str, outcome: str | None, leased: int) -> Standing:
    return standing(state, None if outcome is None else Outcome(outcome), leased=bool(leased))
