"""Anchors and learning rates, computed anew from the text of each file, are those of the detector and its trainer.

A file that cannot say them was refused, or its head says by how much it is off.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import yaml

from detector.config import ConfigError
from search.export.frameworks.exporting import FRAMEWORKS
from search.export.frameworks.fidelity import Level
from search.export.frameworks.recipe import Recipe
from tests.search.export.frameworks.conftest import recipe
from tests.support.export_cases import CASES, expected_anchors, telling_iterations
from tests.support.framework_files import STRIDES_PX, Levels, grid, protobuf_values, python_values, stepped, warmed

Rate = Callable[[int], float]
REFUSED = {("mmdet", "adam"), ("tfm", "adam"), ("tf-od", "resnet18")}
WHOLE_WARMUP = ("detectron2 alone", "mmdet", "tf-od", "tfm")  # the others count it as a real number


def sides(sizes: list[list[float]], ratios: list[float]) -> Levels:
    """From sizes of each level and ratios height / width, sizes outside."""
    return [[(s * r**0.5, s / r**0.5) for s in level for r in ratios] for level in sizes]


def by_script(text: str) -> Rate:
    training = python_values(text)["TRAINING"]
    milestones, factor = training["milestones"], training["decay_factor"]
    peak = training["learning_rate"]
    rates = [peak * factor**passed for passed in range(1, len(milestones) + 1)]
    start = peak * training["warmup_factor"]
    return warmed(stepped(peak, milestones, rates), start, training["warmup_iterations"])


def torchvision(texts: dict[str, str]) -> tuple[Levels, Rate]:
    model = python_values(texts["torchvision_train.py"])["MODEL"]
    return sides(model["anchor_sizes_px"], model["anchor_ratios"]), by_script(texts["torchvision_train.py"])


def detectron2(texts: dict[str, str]) -> tuple[Levels, Rate]:
    anchors = yaml.safe_load(texts["detectron2.yaml"])["MODEL"]["ANCHOR_GENERATOR"]
    assert anchors["OFFSET"] == 0.5
    return sides(anchors["SIZES"], anchors["ASPECT_RATIOS"][0]), by_script(texts["detectron2_train.py"])


def detectron2_alone(texts: dict[str, str]) -> tuple[Levels, Rate]:
    solver = yaml.safe_load(texts["detectron2.yaml"])["SOLVER"]
    peak, steps = solver["BASE_LR"], solver["STEPS"]
    rates = [peak * solver["GAMMA"] ** passed for passed in range(1, len(steps) + 1)]
    rate = warmed(stepped(peak, steps, rates), peak * solver["WARMUP_FACTOR"], solver["WARMUP_ITERS"])
    return detectron2(texts)[0], rate


def mmdet(texts: dict[str, str]) -> tuple[Levels, Rate]:
    values = python_values(texts["mmdet_config.py"])
    anchors = values["model"]["rpn_head"]["anchor_generator"]
    assert anchors["centers"] == [[stride / 2, stride / 2] for stride in STRIDES_PX]
    assert anchors["scale_major"] is False
    sizes = [[base * scale for scale in anchors["scales"]] for base in anchors["base_sizes"]]
    schedulers = {each["type"]: each for each in values["param_scheduler"]}
    rate: Rate = stepped(values["optim_wrapper"]["optimizer"]["lr"], [], [])
    if decay := schedulers.get("MultiStepLR"):
        peak, count = rate(0), len(decay["milestones"])
        rate = stepped(peak, decay["milestones"], [peak * decay["gamma"] ** passed for passed in range(1, count + 1)])
    if warmup := schedulers.get("LinearLR"):
        rate = warmed(rate, rate(0) * warmup["start_factor"], warmup["end"] - 1)  # mmengine reaches the peak there
    return sides(sizes, anchors["ratios"]), rate


def tf_od(texts: dict[str, str]) -> tuple[Levels, Rate]:
    pipeline = protobuf_values(texts["pipeline.config"])
    (generator,) = pipeline["model"][0]["faster_rcnn"][0]["first_stage_anchor_generator"]
    grids = generator["flexible_grid_anchor_generator"][0]["anchor_grid"]
    assert [each["height_offset"][0] for each in grids] == [stride / 2 for stride in STRIDES_PX]
    levels = [
        [(s / r**0.5, s * r**0.5) for s, r in zip(each["base_sizes"], each["aspect_ratios"], strict=True)]
        for each in grids  # width / height
    ]
    (optimizer,) = pipeline["train_config"][0]["optimizer"]
    (settings,) = next(value for name, value in optimizer.items() if name.endswith("_optimizer"))
    (rates,) = settings["learning_rate"]
    if constant := rates.get("constant_learning_rate"):
        return levels, stepped(constant[0]["learning_rate"][0], [], [])
    (manual,) = rates["manual_step_learning_rate"]
    steps = [(each["step"][0], each["learning_rate"][0]) for each in manual["schedule"]]
    first = manual["initial_learning_rate"][0]
    if manual["warmup"] == ["true"]:
        (reached, peak), *steps = steps
        decayed = stepped(peak, [step for step, _ in steps], [rate for _, rate in steps])
        return levels, warmed(decayed, first, reached)
    return levels, stepped(first, [step for step, _ in steps], [rate for _, rate in steps])


def tfm(texts: dict[str, str]) -> tuple[Levels, Rate]:
    document = yaml.safe_load(texts["tfm.yaml"])
    anchor = document["task"]["model"]["anchor"]
    count = anchor["num_scales"]
    sizes = [[anchor["anchor_size"] * stride * 2 ** (i / count) for i in range(count)] for stride in STRIDES_PX]
    settings = document["trainer"]["optimizer_config"]
    rate: Rate
    if settings["learning_rate"]["type"] == "constant":
        rate = stepped(settings["learning_rate"]["constant"]["learning_rate"], [], [])
    else:
        steps = settings["learning_rate"]["stepwise"]
        peak, *lower = steps["values"]
        rate = stepped(peak, [boundary + 1 for boundary in steps["boundaries"]], lower)  # Keras: after the boundary
    if settings["warmup"]["type"]:
        linear = settings["warmup"]["linear"]
        rate = warmed(rate, linear["warmup_learning_rate"], linear["warmup_steps"])
    return sides(sizes, [1 / ratio for ratio in anchor["aspect_ratios"]]), rate


READERS: dict[str, tuple[str, Callable[[dict[str, str]], tuple[Levels, Rate]]]] = {
    "torchvision": ("torchvision", torchvision),
    "detectron2": ("detectron2", detectron2),
    "detectron2 alone": ("detectron2", detectron2_alone),
    "mmdet": ("mmdet", mmdet),
    "tf-od": ("tf-od", tf_od),
    "tfm": ("tfm", tfm),
}


SAID = [(reader, case) for reader in READERS for case in CASES if (READERS[reader][0], case) not in REFUSED]


@pytest.fixture(params=SAID, ids=" ".join)
def said(request: pytest.FixtureRequest) -> tuple[str, Recipe, Levels, Rate]:
    """What a file says of a configuration: anchors by level, rate by iteration."""
    reader, case = request.param
    format, read = READERS[reader]
    made, framework = recipe(case), FRAMEWORKS[format]
    levels, rate = read(dict(framework.texts(made, framework.files[0])))
    return reader, made, levels, rate


@pytest.mark.parametrize(("format", "case"), sorted(REFUSED))
def test_the_others_are_refused_with_the_reason(format: str, case: str) -> None:
    with pytest.raises(ConfigError, match="another detector; export"):
        FRAMEWORKS[format].fidelity(recipe(case))


def test_all_anchors_of_the_canvas_are_the_detector_s(said: tuple[str, Recipe, Levels, Rate]) -> None:
    reader, made, levels, _ = said
    canvas = made.configuration.detector.canvas
    found, expected = grid(levels, (canvas.height_px, canvas.width_px)), expected_anchors(made)
    assert found.shape == expected.shape
    if FRAMEWORKS[READERS[reader][0]].fidelity(made)["anchors.sizes_px"].level is Level.EXACT:
        assert found == pytest.approx(expected, abs=1e-4)  # float32 of up to 512 px
        return
    ratio = (found[:, 2:] - found[:, :2]) / (expected[:, 2:] - expected[:, :2])
    assert 1.01 < np.exp(np.abs(np.log(ratio)).max()) < 1.1  # as far as the head says
    assert (found[:, 2:] + found[:, :2]) == pytest.approx(expected[:, 2:] + expected[:, :2], abs=1e-3)


def test_the_rate_around_every_change_is_the_trainer_s(said: tuple[str, Recipe, Levels, Rate]) -> None:
    reader, made, _, rate = said
    allowed = made.warmup_error * made.hyperparameters.learning_rate if reader in WHOLE_WARMUP else 0.0
    for iteration in telling_iterations(made):
        warming = iteration <= made.warmup_iterations + 1
        error = abs(rate(iteration) - made.rate(iteration))
        assert error <= (allowed if warming else 0.0) + 1e-9 * made.hyperparameters.learning_rate, iteration


def test_the_approximation_of_sizes_is_the_one_in_the_head() -> None:
    """Three sizes at 0, .267 and .533 octaves, where the framework has 0, .333 and .667: off by ± .067 octaves."""
    note: Any = FRAMEWORKS["tfm"].fidelity(recipe("awkward"))["anchors.sizes_px"]
    assert f"{2 ** (0.4 / 3 / 2) - 1:.2%}" in note.text
