"""What the linter blames is mended in their file where there is one right value, and nothing else changes there."""

from pathlib import Path

import pytest

from search.imports.edit.basis import Basis, Change, Onto
from search.imports.edit.mending import mended
from search.imports.framework import Framework
from search.imports.importing import Source, import_onto, imported_section
from search.study.imported_section import ImportedMend

FAILING = Path(__file__).parent / "failing"

#: file → the lines that are other ones afterwards; the sample data has discs, squares and triangles on 160 images
MENDED = {
    "eight_gpus.yaml": ["BASE_LR: 0.0025"],  # 0.02 · 2 / 16
    "no_names.py": ["dataset=dict(metainfo=dict(classes=['disc', 'square', 'triangle']),"],
    "background_forgotten.json": ['"classes": 4,'],
    "means_reversed.py": ["bgr_to_rgb=True,"],  # as torchvision's weights were trained
    "unit_means.yaml": ["PIXEL_MEAN: [123.675, 116.28, 103.53]", "PIXEL_STD: [58.395, 57.12, 57.375]"],
    "training_norm.py": ["norm_eval=True,"],
    "one_list.yaml": ["SIZES: [[16], [32], [64], [128], [256]]"],
    "endless_warmup.yaml": ["WARMUP_ITERS: 3"],  # 300 / 90, added to its group
    "no_warmup.yaml": ["WARMUP_ITERS: 100"],
    "coco_schedule.yaml": [
        "train_steps: 750",  # 3,000 images of 4 a batch; the rest in proportion
        "stepwise: {boundaries: [499, 666], values: [0.005, 0.0005, 0.00005]}",
        "warmup: {type: linear, linear: {warmup_steps: 17, warmup_learning_rate: 0.0001}}",
    ],
}


def changed_lines(before: str, after: str) -> list[str]:
    return [line.strip() for line in after.splitlines() if line not in before.splitlines()]


def basis_of(name: str, framework: Framework, **options: object) -> tuple[str, Basis]:
    values = {"gpus": 1, "images": 160, "scale": 1.0, **options}
    text = (FAILING / name).read_text(encoding="utf-8")
    return text, Basis(file=FAILING / name, framework=framework, **values)  # type: ignore[arg-type]


def linted(train, name: str) -> tuple[str, Basis, tuple[ImportedMend, ...]]:
    found = import_onto(Source(file=FAILING / name), train, canvas=None)
    text, basis = basis_of(name, found.imported.framework, scale=found.scale)
    return text, basis, imported_section(found).mends


@pytest.mark.parametrize("name", MENDED)
def test_what_the_linter_blames_is_mended_and_every_other_line_stays(train, name):
    text, basis, mends = linted(train, name)
    done = mended(text, basis, mends)
    assert done.unwritten == ()
    assert sorted(changed_lines(text, done.text)) == sorted(MENDED[name])
    assert {change.why for change in done.changes} == {mend.finding for mend in mends}


def test_a_change_says_key_line_and_both_values_as_they_are_written(train):
    done = mended(*linted(train, "eight_gpus.yaml"))
    assert [str(each) for each in done.changes] == ["SOLVER.BASE_LR (line 12): 0.02 → 0.0025, for rate-for-more-gpus"]
    added = mended(*linted(train, "endless_warmup.yaml"))
    assert [str(each) for each in added.changes] == ["SOLVER.WARMUP_ITERS (added): 1000 → 3, for warmup-too-long"]


def test_names_of_classes_are_written_for_validation_too():
    text, basis = basis_of("no_names.py", Framework.MMDET)
    text += 'val_dataloader = dict(dataset=dict(type="CocoDataset"))\ntest_dataloader = val_dataloader\n'
    done = mended(text, basis, (ImportedMend(finding="class-names-missing", wish="class_names", value=("a", "b")),))
    assert changed_lines(text, done.text) == [
        "dataset=dict(metainfo=dict(classes=['a', 'b']),",
        "val_dataloader = dict(dataset=dict(metainfo=dict(classes=['a', 'b']), type=\"CocoDataset\"))",
    ]
    assert basis.imported(done.text).class_names.value == ("a", "b")  # type: ignore[union-attr]


def test_rates_that_hang_on_the_peak_follow_it_and_are_said(train):
    done = mended(*linted(train, "momentum_for_64.config"))
    key = "train_config.optimizer.momentum_optimizer.learning_rate.manual_step_learning_rate"
    assert [str(each).removeprefix(key) for each in done.changes] == [
        ".schedule[0].learning_rate (line 36): .08 → 0.005, for rate-for-more-gpus",
        ".schedule[1].learning_rate (line 37): .008 → 0.0005, for rate-for-more-gpus",
        ".initial_learning_rate (line 35): 0.001 → 6.25e-05, for rate-for-more-gpus",
    ]


def test_the_mends_of_one_finding_are_written_together_or_not_at_all():
    text, basis = basis_of("rate_for_eight.py", Framework.MMDET)
    mends = (
        ImportedMend(finding="schedule-too-long", wish="milestones", value=(800.0, 1200.0)),
        ImportedMend(finding="schedule-too-long", wish="iterations", value=750),  # epochs there
        ImportedMend(finding="rate-for-more-gpus", wish="learning_rate", value=0.0025),
    )
    done = mended(text, basis, mends)
    assert changed_lines(text, done.text) == [
        'type="OptimWrapper", optimizer=dict(type="SGD", lr=0.0025, momentum=0.9, weight_decay=0.0001), clip_grad=None'
    ]
    assert done.unwritten == ("train_cfg.max_epochs: 1920 stays, 750 is wanted, for schedule-too-long",)


def test_thresholds_that_crossed_are_exchanged_in_their_one_list():
    text = "_BASE_: Base-RCNN-FPN.yaml\nMODEL:\n  RPN:\n    IOU_THRESHOLDS: [0.7, 0.3]  # ?\n"
    basis = Basis(file=Path("c.yaml"), framework=Framework.DETECTRON2, gpus=1, images=100, scale=1.0)
    mends = (
        ImportedMend(finding="thresholds-crossed", wish="rpn_negative_iou", value=0.3),
        ImportedMend(finding="thresholds-crossed", wish="rpn_positive_iou", value=0.7),
    )
    done = mended(text, basis, mends)
    assert "IOU_THRESHOLDS: [0.3, 0.7]  # ?" in done.text


def test_a_wish_that_the_file_does_not_have_is_said():
    text, basis = basis_of("eight_gpus.yaml", Framework.DETECTRON2)
    done = mended(text, basis, (ImportedMend(finding="class-names", wish="class_names", value=("a",)),))
    assert (done.text, done.changes) == (text, ())
    assert done.unwritten == ("class_names: not in the file, [a] is wanted, for class-names",)


def test_what_is_changed_and_changed_back_is_no_change():
    first = Change(key="a", line=3, before="1", after="2", why="a finding")
    earlier = Onto(text="2", changes=(first, Change(key="b", line=None, before="5", after="6")), unwritten=("x",))
    later = Onto(text="1", changes=(Change(key="a", line=3, before="2", after="1"),), unwritten=("y",))
    both = later.after(earlier)
    assert [each.key for each in both.changes] == ["b"]
    assert both.unwritten == ("x", "y")
