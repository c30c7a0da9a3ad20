"""Pictures of a diagnosis."""

from pathlib import Path

from search.doctor import Diagnosis


def draw_diagnosis(diagnosis: Diagnosis, folder: Path) -> list[Path]:
    """Nothing yet."""
    return []
