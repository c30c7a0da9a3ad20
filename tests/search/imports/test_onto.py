"""Their file back, changed: only those values, comments kept, and read again as what was wanted."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.config import Anchors, Augmentation, Optimizer
from search.imports.edit.basis import Basis
from search.imports.edit.onto import onto
from search.imports.framework import Framework
from spaces.faster_rcnn import Space
from spaces.parameters import at_share

FAILING = Path(__file__).parent / "failing"
SPACE = Space.default()


def basis(name: str, framework: Framework, **options: object) -> tuple[str, Basis]:
    file = FAILING / name
    values = {"gpus": 1, "images": 160, "scale": 1.0, **options}
    return file.read_text(encoding="utf-8"), Basis(file=file, framework=framework, **values)  # type: ignore[arg-type]


DETECTRON2 = basis("eight_gpus.yaml", Framework.DETECTRON2)
MMDET = basis("rate_for_eight.py", Framework.MMDET)
TFM = basis("coco_schedule.yaml", Framework.TFM)
TF_OD = basis("momentum_for_64.config", Framework.TF_OD)


def changed_lines(before: str, after: str) -> list[str]:
    """The lines of the second text that the first has not."""
    return [line.strip() for line in after.splitlines() if line not in before.splitlines()]


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (DETECTRON2, "BASE_LR: 0.0025"),
        (MMDET, "lr=0.0025"),
    ],
)
def test_a_single_change_leaves_every_other_line_as_it_is(start, expected):
    text, where = start
    _, own = where.read(text)
    target = replace(own, lr_per_16=0.0025 * 16 / own.batch_size)
    done = onto(text, where, target)
    lines = changed_lines(text, done.text)
    assert len(lines) == 1
    assert expected in lines[0]
    assert len(done.text.splitlines()) == len(text.splitlines())
    assert done.text.splitlines()[0] == text.splitlines()[0]  # the comment
    assert done.unwritten == ()
    assert len(done.changes) == 1
    assert "→ 0.0025" in str(done.changes[0])


def test_rates_that_belong_to_the_peak_follow_it():
    text, where = TFM
    done = onto(text, where, replace(where.read(text)[1], lr_per_16=0.01))
    assert changed_lines(text, done.text) == [
        "stepwise: {boundaries: [15000, 20000], values: [0.0025, 0.00025, 2.5e-05]}",
        "warmup: {type: linear, linear: {warmup_steps: 500, warmup_learning_rate: 5.0e-05}}",
    ]


def test_nothing_changes_where_nothing_differs():
    for text, where in (DETECTRON2, MMDET, TFM, TF_OD):
        done = onto(text, where, where.read(text)[1])
        assert (done.text, done.changes, done.unwritten) == (text, (), ())


def test_what_the_file_is_silent_about_is_added_in_its_place():
    text, where = DETECTRON2
    _, own = where.read(text)
    target = replace(own, momentum=0.85, anchors=Anchors(sizes_px=((8,), (16,), (32,), (64,), (128,)), ratios=(0.5, 2)))
    done = onto(text, where, target)
    assert set(changed_lines(text, done.text)) == {
        "MOMENTUM: 0.85",
        "ANCHOR_GENERATOR: {ASPECT_RATIOS: [[0.5, 2]], SIZES: [[8], [16], [32], [64], [128]]}",
    }
    assert where.read(done.text)[1] == target


def test_a_list_over_several_lines_is_replaced_and_the_comment_behind_it_stays():
    text = "_BASE_: Base-RCNN-FPN.yaml\nSOLVER:\n  STEPS:\n  - 60000\n  - 80000\n  # not too long\n  MAX_ITER: 90000\n"
    where = Basis(file=Path("c.yaml"), framework=Framework.DETECTRON2, gpus=1, images=100, scale=1.0)
    target = replace(where.read(text)[1], decay_boundaries=(0.5,))
    done = onto(text, where, target)
    assert done.text == ("_BASE_: Base-RCNN-FPN.yaml\nSOLVER:\n  STEPS: [45000]\n  # not too long\n  MAX_ITER: 90000\n")


def test_clipping_is_added_to_mmdetection_as_a_dict():
    text, where = MMDET
    target = replace(where.read(text)[1], clip_norm=35.0)
    done = onto(text, where, target)
    assert "clip_grad=dict(max_norm=35, norm_type=2)" in done.text
    assert where.read(done.text)[1] == target


def test_a_batch_that_gpus_cannot_share_is_said():
    text, where = basis("rate_for_eight.py", Framework.MMDET, gpus=8)
    done = onto(text, where, replace(where.read(text)[1], batch_size=4))
    assert done.text == text
    assert "train_dataloader.batch_size: 16 stays, 4 is wanted" in done.unwritten[0]


def test_what_a_file_has_no_word_for_is_said():
    text, where = DETECTRON2
    _, own = where.read(text)
    target = replace(
        own, optimizer=Optimizer.ADAM, clip_norm=10.0, augmentation=Augmentation(scale=0.4, flip_probability=0.3)
    )
    done = onto(text, where, target)
    assert done.text == text
    assert {each.split(":")[0] for each in done.unwritten} == {
        "torch.optim.SGD", "SOLVER.CLIP_GRADIENTS.ENABLED", "INPUT.RANDOM_FLIP", "augmentation scale",
    }  # fmt: skip


def test_anchors_are_written_in_the_pixels_of_their_images():
    text, _ = DETECTRON2
    where = Basis(file=FAILING / "eight_gpus.yaml", framework=Framework.DETECTRON2, gpus=1, images=160, scale=0.5)
    _, own = where.read(text)
    assert own.anchors.sizes_px[0] == (16,)  # of the study's canvas
    done = onto(text, where, replace(own, anchors=Anchors(sizes_px=((4,), (8,), (16,), (32,), (64,)))))
    assert "SIZES: [[8], [16], [32], [64], [128]]" in done.text


def test_a_pipeline_config_gets_its_anchors_and_clipping():
    text, where = TF_OD
    _, own = where.read(text)
    target = replace(own, clip_norm=10.0, anchors=Anchors(sizes_px=((8,), (16,), (32,), (64,), (128,)), ratios=(4, 1)))
    done = onto(text, where, target)
    assert done.unwritten == ()
    assert "anchor_scale: 2\n" in done.text
    assert "aspect_ratios: [0.25, 1]" in done.text
    assert "gradient_clipping_by_norm: 10" in done.text
    assert where.read(done.text)[1] == target


def test_a_description_of_torchvision_is_changed_like_a_file():
    text, where = basis("background_forgotten.json", Framework.TORCHVISION)
    _, own = where.read(text)
    target = replace(
        own, lr_per_16=0.004, anchors=Anchors(sizes_px=((8,), (16,), (32,), (64,), (128,)), ratios=(0.5, 2))
    )
    done = onto(text, where, target)
    assert done.unwritten == ()
    assert changed_lines(text, done.text) == [
        '"sizes": [[8], [16], [32], [64], [128]],',
        '"aspect_ratios": [[0.5, 2], [0.5, 2], [0.5, 2], [0.5, 2], [0.5, 2]]',
        '"optimizer": {"type": "SGD", "lr": 0.001, "rpn_lr_factor": 1.0, "momentum": 0.9, "weight_decay": 0.0005,',
    ]
    assert where.read(done.text)[1] == target


def test_the_later_rates_of_a_pipeline_config_follow_its_peak():
    text, where = TF_OD
    target = replace(where.read(text)[1], lr_per_16=0.02)
    done = onto(text, where, target)
    assert done.unwritten == ()
    assert changed_lines(text, done.text) == [
        "initial_learning_rate: 6.25e-05",  # of the peak as before: 0.001 / 0.08 · 0.005
        "schedule { step: 100 learning_rate: 0.005 }",
        "schedule { step: 1500 learning_rate: 0.0005 }",
    ]
    assert where.read(done.text)[1] == target


#: What a file of each kind may have no word for, by the beginning of the message.
SILENT = {
    Framework.DETECTRON2: ("torch.optim", "SOLVER.CLIP", "rpn_lr_factor", "augmentation", "INPUT.RANDOM_FLIP"),
    Framework.MMDET: ("optim_wrapper.optimizer.type", "rpn_lr_factor", "augmentation", "param_scheduler"),
    Framework.TFM: (
        "trainer.optimizer_config", "rpn_lr_factor", "augmentation", "task.model.anchor.anchor_size",
        "task.train_data.parser.aug",
    ),
    Framework.TF_OD: (
        "train_config", "rpn_lr_factor", "augmentation", "the Object", "model.faster_rcnn.first_stage_anchor_generator",
    ),
}  # fmt: skip


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([DETECTRON2, MMDET, TFM, TF_OD]), st.lists(st.floats(0, 1), min_size=40, max_size=40))
def test_any_configuration_of_the_space_goes_into_the_file_and_comes_back_but_for_what_is_said(start, shares):
    wanted = {name: at_share(p, share) for (name, p), share in zip(SPACE.parameters.items(), shares, strict=False)}
    target = SPACE.configuration(SPACE.nearest(wanted))
    text, where = start
    done = onto(text, where, target)
    unexpected = [each for each in done.unwritten if not each.startswith(SILENT[where.framework])]
    assert unexpected == []
    imported, own = where.read(done.text)
    assert own.batch_size == target.batch_size
    assert own.weight_decay == pytest.approx(target.weight_decay)
    if where.framework is Framework.DETECTRON2:
        assert own.learning_rate == pytest.approx(target.learning_rate)
        for one, other in zip(own.anchors.sizes_px, target.anchors.sizes_px, strict=True):
            assert one == pytest.approx(other)
        assert own.anchors.ratios == pytest.approx(target.anchors.ratios)
        half = 0.5 / imported.iterations.value
        assert own.warmup_fraction == pytest.approx(target.warmup_fraction, abs=1.01 * half)
        assert own.decay_boundaries == pytest.approx(target.decay_boundaries, abs=2.01 * half)
