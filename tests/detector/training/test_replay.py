"""Replays: a picture that is absurd on the initial weights is told from a configuration that spoilt its weights."""

from dataclasses import dataclass, field

import numpy as np

from detector.data.batches import TrainingBatches
from detector.training.replay import Replay, blamed
from detector.watch.finding import Finding, Severity
from detector.watch.health import LOSSES
from trial.outcome import Outcome

FOUND = Finding(rule="not finite", outcome=Outcome.DIVERGED, cause="loss_rpn_box", message="it was not finite", step=2)
MICRO_BATCH, BATCH = 2, 4


class Pictures(TrainingBatches):
    """Six pictures that are shown in turn; the pixels of each are its number."""

    def __init__(self) -> None:
        """No dataset is needed."""

    def arrays(self, seed: int, first_sample: int, count: int) -> dict[str, np.ndarray]:
        samples = np.arange(first_sample, first_sample + count)
        return {"images": samples % 6, "index": samples}

    def names(self, seed: int, first_sample: int, count: int) -> list[str]:
        return [f"{sample % 6}.png" for sample in range(first_sample, first_sample + count)]


@dataclass(slots=True)
class Step:
    """A step whose box loss is infinite with one of these pictures; keeps what it was given."""

    corrupt: set[int]
    value: float = float("inf")
    seen: list[list[int]] = field(default_factory=list)

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, float]:
        pictures = batch["images"].tolist()
        assert len(pictures) == MICRO_BATCH  # another size would be compiled again
        self.seen.append(pictures)
        loss = self.value if self.corrupt & set(pictures) else 0.5
        return {**dict.fromkeys(LOSSES, 0.5), "loss_rpn_box": loss, "gradient_norm": 1.0}


def judge(step: Step) -> Finding:
    """Of a finding at step 2: samples 8 to 11, which are pictures 2, 3, 4 and 5."""
    return blamed(FOUND, Replay(Pictures(), 0, MICRO_BATCH, run=step), first=2 * BATCH, count=BATCH)


def test_harmless_images_leave_the_blame_with_the_configuration_and_are_named() -> None:
    finding = judge(step := Step(corrupt={0}))
    assert (finding.rule, finding.outcome, finding.cause) == ("not finite", Outcome.DIVERGED, "loss_rpn_box")
    assert finding.evidence["images"] == "2.png\n3.png\n4.png\n5.png"
    assert step.seen == [[2, 3], [4, 5]]  # no more than the batch costs


def test_an_image_that_is_absurd_all_alone_is_named_and_the_trial_is_not_blamed() -> None:
    finding = judge(step := Step(corrupt={4}))
    assert (finding.rule, finding.outcome, finding.severity) == ("corrupt sample", Outcome.BAD_DATA, Severity.TRIAL)
    assert finding.evidence["images"] == "4.png"
    assert "4.png" in finding.message
    assert step.seen[:4] == [[2, 3], [4, 5], [4, 4], [5, 5]]


def test_a_finite_but_absurd_loss_is_as_guilty() -> None:
    assert judge(Step(corrupt={4}, value=1e4)).rule == "corrupt sample"
    assert judge(Step(corrupt={4}, value=50.0)).rule == "not finite"


def test_when_every_image_is_absurd_the_weights_are_and_the_study_ends() -> None:
    finding = judge(Step(corrupt=set(range(6))))
    assert (finding.rule, finding.severity) == ("not finite at the start", Severity.STUDY)
    assert finding.outcome is Outcome.BAD_DATA


def test_a_whole_batch_of_corrupt_images_is_not_taken_for_wrong_weights() -> None:
    finding = judge(Step(corrupt={2, 3, 4, 5}))  # the next batch has 0 and 1, which are fine
    assert (finding.rule, finding.evidence["images"]) == ("corrupt sample", "2.png\n3.png\n4.png\n5.png")
