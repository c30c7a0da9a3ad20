"""The real trainer behind the protocol: adapts `detector.training.trainer`, which knows of no trial and no study."""

import time
from collections.abc import Callable

from detector.setup import Progress, Setup
from detector.training.trainer import Trainer
from search.trainer.protocol import Preparing, Ready, Start, Started
from trial.reports import PausedReport, ProgressReport, RungReport
from trial.verdict import Verdict


class DetectorRunner:
    """A `TrialRunner` that trains Faster R-CNN; importing this module loads Keras."""

    def __init__(self) -> None:
        self._trainer: Trainer | None = None

    def setup(self, setup: Setup, on_preparing: Callable[[Preparing], None]) -> Ready:
        began_s = time.monotonic()

        trainer = Trainer(setup, on_progress=_teller(on_preparing))
        self._trainer = trainer
        return Ready(
            backend=trainer.backend,
            device=trainer.device,
            versions=dict(trainer.versions),
            setup_s=time.monotonic() - began_s,
        )

    def start(self, start: Start) -> Started:
        images = self._require_trainer().begin(
            start.hyperparameters,
            seed=start.seed,
            budget_images=start.budget_images,
            directory=start.directory,
            keep_weights=start.keep_weights,
            early_parts=start.early_parts,
        )
        return Started(images=images)

    def advance(
        self,
        to_images: int,
        on_progress: Callable[[ProgressReport | Preparing], None],
        should_pause: Callable[[], bool],
    ) -> RungReport | PausedReport | Verdict:
        return self._require_trainer().advance(
            to_images,
            on_progress=on_progress,
            should_pause=should_pause,
            on_stage=_teller(on_progress),
        )

    def _require_trainer(self) -> Trainer:
        if self._trainer is None:
            raise RuntimeError("a trial needs a setup first")
        return self._trainer


def _teller(send: Callable[[Preparing], None]) -> Progress:
    return lambda stage, done, total: send(Preparing(stage=stage, done=done, total=total))
