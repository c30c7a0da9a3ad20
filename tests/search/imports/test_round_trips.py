"""What is exported to a framework and imported again is the same wherever the export calls it exact, and the backbone
always."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from detector.config import BackboneName, Canvas, ConfigError, Detector, Hyperparameters
from search.export.frameworks.exporting import FRAMEWORKS
from search.export.frameworks.fidelity import Level, values_of
from search.export.frameworks.recipe import Recipe, SplitFiles
from search.imports.framework import Framework
from search.imports.recognition import READERS, recognised
from search.imports.trial_zero import trial_zero
from search.policy.model.cube import Cube
from spaces.faster_rcnn import Space
from tests.support.export_cases import CASES, configuration

SPACE = Space.default()
CUBE = Cube.of(SPACE)
IMAGES = 16 * 4000
SPLIT = SplitFiles(annotations="train.json", images="images", count=100, turned=0)

#: Detectron2's YAML is exact together with its script, which has these.
OF_THE_SCRIPT = {"optimizer", "clip_norm", "rpn_lr_factor", "low_quality_matches"}
#: A schedule is exact where every iteration has its rate: a boundary may lie anywhere between two.
BETWEEN_ITERATIONS = {"decay_boundaries", "warmup_fraction"}
#: Weights, memory and the network's own sizes are the study's, pictures are made by another program.
NOT_OF_TRIAL_0 = ("detector.", "augmentation.")


def recipe_of(hyperparameters: Hyperparameters, backbone: BackboneName) -> Recipe:
    detector = Detector(canvas=Canvas(height_px=128, width_px=128), backbone=backbone)
    made = configuration(hyperparameters, detector, images=IMAGES)
    return Recipe(configuration=made, images=IMAGES, train=SPLIT, validation=SPLIT)


def check(recipe: Recipe, framework: Framework) -> int:
    """Export, import, compare; how many keys were exact."""
    form = FRAMEWORKS[str(framework)]
    name = form.files[0]
    fidelity, text = form.fidelity(recipe), form.texts(recipe, name)[name]
    assert recognised(text, Path(name)) is framework
    imported = READERS[framework](text, Path(name), gpus=1, images=recipe.train.count)
    assert imported.backbone.name is recipe.configuration.detector.backbone
    back = trial_zero(imported).hyperparameters
    before = values_of(recipe.configuration)
    after = values_of(replace(recipe.configuration, hyperparameters=back))
    keys = {key for key, note in fidelity.items() if note.level is Level.EXACT and not key.startswith(NOT_OF_TRIAL_0)}
    keys -= OF_THE_SCRIPT if framework is Framework.DETECTRON2 else set()
    for key in keys:
        slack = 1.01 / recipe.iterations if key in BETWEEN_ITERATIONS else 0.0
        assert same(flat(after[key]), flat(before[key]), slack), (framework, key, before[key], after[key])
    return len(keys)


def same(after: list[object], before: list[object], slack: float) -> bool:
    if any(isinstance(value, str) for value in (*after, *before)):
        return after == before
    return after == pytest.approx(before, rel=1e-6, abs=slack)


def flat(value: object) -> list[object]:
    """The numbers in it, one after the other; what is none as it is."""
    if isinstance(value, tuple):
        return [number for inner in value for number in flat(inner)]
    return [str(value) if isinstance(value, str) else value]


FORMATS = [framework for framework in READERS if framework is not Framework.TORCHVISION]  # a script: nothing reads it


@pytest.mark.parametrize("framework", FORMATS)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.filter_too_much])
@given(seed=st.integers(0, 2**32 - 1), backbone=st.sampled_from(BackboneName))
def test_any_point_of_the_space_comes_back_where_it_was_called_exact(
    framework: Framework, seed: int, backbone: BackboneName
) -> None:
    shares = np.random.default_rng(seed).random(len(CUBE.sides))
    recipe = recipe_of(SPACE.configuration(CUBE.point(shares)), backbone)
    try:
        FRAMEWORKS[str(framework)].texts(recipe, "any")
    except ConfigError:
        assume(False)  # another detector: refused
    assert check(recipe, framework) > 8


@pytest.mark.parametrize("framework", FORMATS)
@pytest.mark.parametrize("case", ["defaults", "awkward", "resnet101"])
def test_the_judged_configurations_come_back(framework: Framework, case: str) -> None:
    made = CASES[case]
    recipe = Recipe(configuration=made, images=made.provenance.budget_images, train=SPLIT, validation=SPLIT)
    assert check(recipe, framework) > 8
