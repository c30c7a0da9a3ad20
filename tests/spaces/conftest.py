from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest


@dataclass
class RecordingTrial:
    """Answers like an Optuna trial with what the test chose, and keeps what it was asked."""

    real: Callable[[float, float], float] = lambda low, high: low
    whole: Callable[[int, int, int], int] = lambda low, high, step: low
    choice: Callable[[Sequence[Any]], Any] = lambda choices: choices[0]
    asked: dict[str, dict[str, Any]] = field(default_factory=dict)

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        self.asked[name] = {"low": low, "high": high, "log": log}
        return self.real(low, high)

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        self.asked[name] = {"low": low, "high": high, "step": step, "log": log}
        return self.whole(low, high, step)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        self.asked[name] = {"choices": tuple(choices)}
        return self.choice(choices)


@pytest.fixture
def trial() -> RecordingTrial:
    """Takes the lowest value, or the first choice, of everything."""
    return RecordingTrial()


@pytest.fixture
def recording_trial() -> type[RecordingTrial]:
    return RecordingTrial
