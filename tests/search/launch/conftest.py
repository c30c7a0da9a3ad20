"""Launches that look at their workers ten times a second."""

import pytest

from search.launch import launching


@pytest.fixture(autouse=True)
def _short_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launching, "TICK_S", 0.1)
