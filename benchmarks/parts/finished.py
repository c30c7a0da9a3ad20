"""Trainings that are done, as JSON lines in a file: one that stands there is not repeated."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from detector.config import Hyperparameters
from trial.outcome import Outcome
from trial.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """One training that ended: by the watch, or at the end of its budget with figures."""

    verdict: Verdict
    ap: float | None = None  # None: the watch ended it
    ap50: float | None = None
    losses: tuple[float, ...] = ()  # of the batches at which the watch looked

    @property
    def is_whole(self) -> bool:
        return self.verdict.outcome is Outcome.COMPLETE


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The file, and what it is about: trainings under other conditions stand apart."""

    file: Path
    conditions: str

    def training(self, hyperparameters: Hyperparameters, seed: int, run: Callable[[], Training]) -> Training:
        """The training of these values with that seed: what the file has of it, or else what `run` gives, kept."""
        key = self._key(hyperparameters, seed)
        known = self._read().get(key)
        if known is not None:
            return _training(known)
        training = run()
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps({"key": key, "seed": seed, **asdict(training)}, default=str) + "\n")
        return training

    def _key(self, hyperparameters: Hyperparameters, seed: int) -> str:
        text = json.dumps([self.conditions, seed, asdict(hyperparameters)], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def _read(self) -> dict[str, dict[str, Any]]:
        """By key; a line that was cut off by an interruption is none."""
        if not self.file.is_file():
            return {}
        found = {}
        for line in self.file.read_text(encoding="utf-8").splitlines():
            try:
                document = json.loads(line)
            except ValueError:
                continue
            found[document["key"]] = document
        return found


def _training(document: dict[str, Any]) -> Training:
    verdict = {**document["verdict"], "outcome": Outcome(document["verdict"]["outcome"])}
    return Training(
        verdict=Verdict(**verdict), ap=document["ap"], ap50=document["ap50"], losses=tuple(document["losses"])
    )
