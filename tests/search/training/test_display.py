"""What `train` shows while it runs."""

import io

import pytest

from search.terminal import PlainConsole
from search.trainer.protocol import Preparing
from search.training.display import TrainingDisplay, progress_text
from trial.reports import ProgressReport


def report(images: int, images_per_s: float, **figures: float) -> ProgressReport:
    return ProgressReport(step=1, images=images, figures=figures, images_per_s=images_per_s)


@pytest.mark.parametrize(
    ("progress", "text"),
    [
        (report(0, 0.0), "0 of 20000 images"),
        (report(4000, 12.34, loss=0.456), "4000 of 20000 images, 12.3 images/s, 21:36 left, loss 0.456"),
        (report(20010, 10.0, loss=1.0), "20010 of 20000 images, 10.0 images/s, 0:00 left, loss 1"),
    ],
)
def test_how_far_a_training_is(progress, text):
    assert progress_text(progress, 20000) == text
    assert len(progress_text(progress, 20000)) <= 80


def test_a_log_has_a_line_for_each_stage_and_what_is_told():
    console = PlainConsole(file=io.StringIO(), width=80)
    display = TrainingDisplay(console, budget_images=100)
    with display.shown():
        display.busy(Preparing(stage="building the network", done=0, total=1))
        display.busy(Preparing(stage="evaluating", done=0, total=9))
        display.busy(Preparing(stage="evaluating", done=8, total=9))
        display.busy(None)
        display.stepped(report(10, 1.0))
        display.tell("100 images: AP 0.300")
    shown = console.file.getvalue().splitlines()
    assert shown == ["training: building the network", "training: evaluating", "100 images: AP 0.300"]


def test_a_terminal_shows_the_last_of_both_at_its_foot():
    console = PlainConsole(file=io.StringIO(), width=80, force_terminal=True, color_system=None)
    display = TrainingDisplay(console, budget_images=100)
    with display.shown():
        display.busy(Preparing(stage="evaluating", done=3, total=9))
    assert "training: evaluating, 3 of 9 (0:00)" in console.file.getvalue()
    with display.shown():
        display.stepped(report(10, 1.0))
    assert "10 of 100 images, 1.0 images/s, 1:30 left" in console.file.getvalue()
