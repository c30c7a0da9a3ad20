"""A disk that is full half-way through a file that a person gets: a message, what was there before, and no rubbish."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

WRITE = """
import resource, sys
from pathlib import Path
from detector.config import Canvas, ConfigError, Detector, Hyperparameters
from search.explanation.page import MARK, write_page
from search.export.configuration_file import Configuration, Provenance, write_configuration
from search.training.agreement import agree
from search.study.data_section import Data

kind, file = sys.argv[1], Path(sys.argv[2])
configuration = Configuration(
    hyperparameters=Hyperparameters(),
    detector=Detector(canvas=Canvas(height_px=64, width_px=64)),
    classes=("cell",),
    data=Data(folder=Path("/data")),
    provenance=Provenance(
        study="cells", trial=3, ap=0.4, images=12, budget_images=12, seed=7, code_version="0", dataset_fingerprint="a",
        exported_at="2026-01-02T03:04:05+00:00",
    ),
)
resource.setrlimit(resource.RLIMIT_FSIZE, (40, 40))
try:
    match kind:
        case "page":
            write_page(file, f"<!-- {MARK} -->" + "x" * 100)
        case "configuration":
            write_configuration(file, configuration)
        case "record":
            agree(file.parent, {"data": "x" * 100})
except ConfigError as error:
    sys.exit(str(error))
"""


@pytest.mark.parametrize(
    ("kind", "name"), [("page", "study.html"), ("configuration", "best.yaml"), ("record", "training.json")]
)
def test_a_full_disk_leaves_no_part_of_a_page_a_configuration_or_a_record(tmp_path, kind, name):
    command = [sys.executable, "-c", WRITE, kind, str(tmp_path / name)]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert (done.returncode, f"{name}" in done.stderr, "cannot be written" in done.stderr) == (1, True, True)
    assert list(tmp_path.iterdir()) == []
