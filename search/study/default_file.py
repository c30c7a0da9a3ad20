"""The study file that is meant where none is named."""

from pathlib import Path

DEFAULT_STUDY_FILE = Path("study.yaml")
