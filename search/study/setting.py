"""Where in the study file something is set."""

from dataclasses import fields
from typing import get_type_hints

from search.study.problems import model_of
from search.study.specification import Specification
from spaces.catalogue import DEFINITIONS

#: Other programs' words for some of our settings.
_WORDS = {
    "anchor_sizes": "space.anchors",
    "batch": "space.batch_size",
    "epochs": "budget.images",
    "iterations": "budget.images",
    "learning_rate": "space.lr_per_16",
    "lr": "space.lr_per_16",
    "n_trials": "budget.trials",
    "steps": "budget.images",
}


def place_of(key: str) -> str | None:
    """The setting that is called so, such as `space.momentum` for momentum; None where there is none or several."""
    places = [f"space.{key}"] if key in DEFINITIONS else []
    for section, hint in get_type_hints(Specification).items():
        model = model_of(hint)
        if section == key:
            places.append(section)
        elif model and key in (field.name for field in fields(model)):
            places.append(f"{section}.{key}")
    return _WORDS.get(key) if not places else places[0] if len(places) == 1 else None
