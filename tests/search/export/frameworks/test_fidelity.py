"""Every value has its note in every framework, and the note tells the truth about single values."""

from dataclasses import fields, replace

import pytest

from detector.config import Anchors, Augmentation, Canvas, Detector, Hyperparameters, Precision
from search.export.frameworks.exporting import FRAMEWORKS
from search.export.frameworks.fidelity import Level, values_of
from search.export.frameworks.recipe import Recipe
from tests.search.export.frameworks.conftest import recipe
from tests.support.export_cases import CASES

PARTS = {"anchors": Anchors, "augmentation": Augmentation}


def expected_keys() -> set[str]:
    """One for each field of a configuration."""
    whole = {field.name for field in fields(Hyperparameters)} - PARTS.keys()
    inner = {f"{name}.{field.name}" for name, part in PARTS.items() for field in fields(part)}
    return whole | inner | {f"detector.{field.name}" for field in fields(Detector)}


@pytest.mark.parametrize("framework", FRAMEWORKS.values(), ids=lambda each: each.format)
def test_every_field_of_a_configuration_has_its_entry(framework) -> None:
    assert set(framework.fidelity(recipe("defaults"))) == expected_keys()


def test_the_values_are_those_of_the_configuration() -> None:
    values = values_of(CASES["awkward"])
    assert set(values) == expected_keys()
    assert (values["lr_per_16"], values["anchors.ratios"], values["detector.micro_batch"]) == (
        0.0137,
        (0.37, 1.1, 2.9),
        4,
    )


@pytest.mark.parametrize("framework", FRAMEWORKS.values(), ids=lambda each: each.format)
def test_what_is_not_exact_says_how_or_what_holds_instead(framework) -> None:
    notes = framework.fidelity(recipe("awkward"))
    assert all(note.text for note in notes.values() if note.level is not Level.EXACT)


def level(format: str, key: str, made: Recipe) -> Level:
    return FRAMEWORKS[format].fidelity(made)[key].level


def changed(**values: object) -> Recipe:
    of = CASES["defaults"]
    return replace(recipe("defaults"), configuration=replace(of, hyperparameters=replace(of.hyperparameters, **values)))


def on(**values: object) -> Recipe:
    of = CASES["defaults"]
    return replace(recipe("defaults"), configuration=replace(of, detector=replace(of.detector, **values)))


@pytest.mark.parametrize(
    ("format", "key", "made", "expected"),
    [
        ("torchvision", "warmup_fraction", recipe("awkward"), Level.EXACT),
        ("mmdet", "warmup_fraction", recipe("awkward"), Level.APPROXIMATE),
        ("mmdet", "warmup_fraction", recipe("defaults"), Level.EXACT),  # 990 iterations, a whole number
        ("mmdet", "augmentation.hue", changed(augmentation=Augmentation(hue=0.1)), Level.NOT_EXPRESSED),
        ("mmdet", "augmentation.hue", recipe("defaults"), Level.EXACT),
        ("tf-od", "rpn_positive_iou", changed(rpn_positive_iou=0.6), Level.NOT_EXPRESSED),
        ("tf-od", "rpn_positive_iou", recipe("defaults"), Level.EXACT),
        ("tf-od", "roi_positive_iou", changed(roi_positive_iou=0.4), Level.NOT_EXPRESSED),
        ("tf-od", "momentum", recipe("adam"), Level.NOT_EXPRESSED),  # beta 1 is .9 there
        ("tf-od", "low_quality_matches", recipe("adam"), Level.NOT_EXPRESSED),
        ("tf-od", "rpn_lr_factor", recipe("awkward"), Level.NOT_EXPRESSED),
        ("tfm", "anchors.sizes_px", recipe("awkward"), Level.APPROXIMATE),  # eight tenths of an octave
        ("tfm", "anchors.sizes_px", recipe("defaults"), Level.EXACT),
        ("tfm", "detector.canvas", recipe("awkward"), Level.APPROXIMATE),  # 96 is no multiple of 64
        ("tfm", "detector.canvas", recipe("defaults"), Level.EXACT),
        ("tfm", "augmentation.flip_probability", changed(augmentation=Augmentation(flip_probability=0.2)),
         Level.APPROXIMATE),
        ("tfm", "detector.frozen_stages", on(frozen_stages=5), Level.EXACT),
        ("tfm", "detector.frozen_stages", on(frozen_stages=2), Level.NOT_EXPRESSED),
        ("torchvision", "detector.weights", on(weights="../../weights.h5"), Level.NOT_EXPRESSED),
        ("detectron2", "detector.weights", on(weights="imagenet"), Level.APPROXIMATE),
        ("mmdet", "detector.precision", on(precision=Precision.BFLOAT16), Level.APPROXIMATE),
    ],
)  # fmt: skip
def test_a_note_says_whether_the_file_means_the_same(format: str, key: str, made: Recipe, expected: Level) -> None:
    assert level(format, key, made) is expected


def test_a_canvas_onto_which_some_images_lie_otherwise_is_approximate_where_the_short_side_rules() -> None:
    made = recipe("awkward")
    turned = replace(made, train=replace(made.train, turned=2))
    note = FRAMEWORKS["tf-od"].fidelity(turned)["detector.canvas"]
    assert str(note).startswith("approximate: 2 of 9 images")
    assert level("tf-od", "detector.canvas", made) is Level.EXACT
    wide = replace(turned, configuration=replace(made.configuration, detector=Detector(canvas=Canvas(
        height_px=96, width_px=128))))  # fmt: skip
    assert level("mmdet", "detector.canvas", wide) is Level.EXACT  # its letterbox is ours
