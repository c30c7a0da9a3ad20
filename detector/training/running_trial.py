"""A trial while it runs: its weights and their moments on the device, how far it is, and its checkpoint."""

from dataclasses import dataclass
from pathlib import Path

from detector.backend import to_device, to_host
from detector.boxes import Tensor
from detector.config import Hyperparameters, Optimizer
from detector.network.network import Network
from detector.schedule import learning_rate
from detector.training.checkpoint import Checkpoint
from detector.training.optimizer import SLOTS
from detector.training.step import State
from detector.watch.finding import Finding, Severity
from detector.watch.watch import Watch
from trial.reports import ProgressReport, Warned
from trial.verdict import Verdict


@dataclass(slots=True, kw_only=True)
class RunningTrial:
    """Where the trial stands. `state` and `frozen` are in the order of the network's variables."""

    hyperparameters: Hyperparameters
    seed: int
    budget_images: int
    directory: Path
    keep_weights: bool
    early_parts: bool
    network: Network
    inputs: dict[str, Tensor]
    state: State
    frozen: list[Tensor]
    watch: Watch
    step: int = 0

    @property
    def images(self) -> int:
        return self.step * self.hyperparameters.batch_size

    @property
    def learning_rate(self) -> float:
        """The rate of the next step."""
        return learning_rate(self.hyperparameters, self.images, self.budget_images)

    def progress(self, step: int, figures: dict[str, float], images_per_s: float) -> ProgressReport:
        """What the figures of that step say, with the watch's warnings so far."""
        warnings = tuple(
            Warned(rule=finding.rule, step=finding.step, message=finding.message)
            for finding in self.watch.warnings.values()
        )
        images = (step + 1) * self.hyperparameters.batch_size
        return ProgressReport(step=step, images=images, figures=figures, images_per_s=images_per_s, warnings=warnings)

    def verdict(self, finding: Finding) -> Verdict:
        """How the trial ends by a finding of the watch."""
        return Verdict(
            outcome=finding.outcome,
            cause=finding.cause,
            message=finding.message,
            step=finding.step,
            images=self.images,
            evidence={"rule": finding.rule, **finding.evidence},
            study_wide=finding.severity is Severity.STUDY,
        )

    def checkpoint(self) -> Checkpoint:
        """Host copies of all that `restore` needs."""
        arrays = {
            f"{slot}/{variable.path}": to_host(value)
            for slot in self._slots
            for variable, value in zip(self.network.trainable, self.state[slot], strict=True)
        }
        arrays |= {
            f"frozen/{variable.path}": to_host(value)
            for variable, value in zip(self.network.frozen, self.frozen, strict=True)
        }
        arrays["first_bad"] = to_host(self.state["first_bad"])
        return Checkpoint(arrays=arrays, images=self.images, step=self.step)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on where the checkpoint was taken."""
        arrays = checkpoint.arrays
        for slot in self._slots:
            self.state[slot] = [to_device(arrays[f"{slot}/{variable.path}"]) for variable in self.network.trainable]
        self.state["first_bad"] = to_device(arrays["first_bad"])
        self.frozen = [to_device(arrays[f"frozen/{variable.path}"]) for variable in self.network.frozen]
        self.step = checkpoint.step

    @property
    def _slots(self) -> tuple[str, ...]:
        """Those that the optimizer uses; the others stay zero."""
        adam = self.hyperparameters.optimizer is Optimizer.ADAM
        return tuple(slot for slot in SLOTS if slot != "second" or adam)
