"""Studies as Optuna itself has them, and plans with other settings, for tests and benchmarks of what is around them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna

from search.plan import Plan
from search.study.policy_section import PrunerName
from storage.connection.database import Database
from storage.study import create_study, find_study

#: Where a setting of a test stands in the specification.
SECTIONS = {
    "trials": "budget",
    "trainings": "budget",
    "until_settled": "budget",
    "checkpoints_gb": "pruner",
    "seed": "sampler",
    "startup_trials": "sampler",
    "least_anchor_fit": "sampler",
    "most_divergence_risk": "sampler",
}


def create_optuna_study(database: Database, name: str, **options: Any) -> optuna.Study:
    """A plain Optuna study, created as a launch does; options go to Optuna."""
    create_study(database, name)
    return load_optuna_study(database, name, **options)


def load_optuna_study(database: Database, name: str, **options: Any) -> optuna.Study:
    """A plain Optuna study that is there."""
    find_study(database, name)
    return optuna.load_study(study_name=name, storage=database.optuna, **options)


def varied(plan: Plan, *, folder: Path | None = None, pruner: str | None = None, **settings: Any) -> Plan:
    """The plan with other settings, each by its own name."""
    specification = plan.specification
    if pruner is not None:
        specification = replace(specification, pruner=replace(specification.pruner, name=PrunerName(pruner)))
    if (rungs := settings.pop("rungs", None)) is not None:
        specification = replace(specification, budget=replace(specification.budget, images=rungs[-1], rungs=rungs))
    for name, value in settings.items():
        section = SECTIONS.get(name)
        changed = value if section is None else replace(getattr(specification, section), **{name: value})
        specification = replace(specification, **{section or name: changed})
    return replace(plan, specification=specification, folder=folder or plan.folder)
