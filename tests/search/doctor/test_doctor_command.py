"""`frcnn-search doctor` as a user runs it: exit codes, text, JSON, the study file that it changes."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from detector.data.sample_data import write_sample
from search.command_line import main
from search.study.study_file import load_study_file

ROOT = Path(__file__).resolve().parents[3]
SPACE = "space:\n  anchor_scales: 1  # mine\n  anchor_ratios: 1\n  batch_size: [4, 8]\n"


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study file on 12 images, with a narrow space."""
    write_sample(tmp_path / "data", train=12, validation=6)
    file = tmp_path / "study.yaml"
    file.write_text(f"# kept\ndata: {{folder: data}}\n\n{SPACE}\nbudget: {{trials: 3}}\n", encoding="utf-8")
    return file


def doctor(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["frcnn-search", "doctor", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        main()
    return int(left.value.code or 0)


def spoil(study: Path) -> None:
    (study.parent / "data" / "images" / "train_0003.png").unlink()


def test_healthy_data_leaves_with_0_and_shows_the_fit(
    study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert doctor(monkeypatch, study) == 0
    text = capsys.readouterr().out
    assert "12 training images" in text
    assert "derived (1)" in text
    assert "  anchor_base: {low: " in text
    assert "0 errors" in text


def test_an_error_leaves_with_2_and_names_the_file(
    study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(study)
    assert doctor(monkeypatch, study) == 2
    text = capsys.readouterr().out
    assert text.index("image-missing") < text.index("train_0003.png") < text.index("1 error")


@pytest.mark.parametrize("broken", ["data", "study", "folder"])
def test_json_is_one_object_whatever_is_wrong(
    study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], broken: str
) -> None:
    spoil(study)
    if broken == "study":
        study.write_text("data: {folder: data}\nspace: {anchor_bass: 4}\n", encoding="utf-8")
    arguments: list[Any] = ["--data", study.parent / "nothing"] if broken == "folder" else [study]
    assert doctor(monkeypatch, *arguments, "--json") == 2
    finding = json.loads(capsys.readouterr().out)["findings"][0]
    assert finding["name"] == {"data": "image-missing", "study": "study-file", "folder": "no-dataset"}[broken]
    assert finding["severity"] == "error"


def test_the_proposed_ranges_replace_their_lines_and_no_other(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = load_study_file(study)
    assert doctor(monkeypatch, study, "--write-space") == 0
    text, after = study.read_text(encoding="utf-8"), load_study_file(study)
    assert text.startswith("# kept\ndata: {folder: data}\n")
    assert "  anchor_scales: 1  # mine\n" in text  # fixed by the study, and so it stays
    assert "  batch_size: [4, 8]\n" in text
    low, high = (getattr(after.space.parameters["anchor_base"], side) for side in ("low", "high"))
    assert high / low >= 1.5**2 * 0.98
    assert low <= 8.0 <= high  # Detectron2's is held, so that trial 0 stays the reference
    assert after.space.reference() == before.space.reference()
    proposed = ("anchor_", "lr_per_16", "adam_lr_per_16")
    assert {name: p for name, p in after.space.parameters.items() if not name.startswith(proposed)} == {
        name: p for name, p in before.space.parameters.items() if not name.startswith(proposed)
    }
    assert after.space.parameters["lr_per_16"].high == 0.02  # from scratch
    assert after.detector == before.detector  # no image is so dense that it needs other counts
    assert after.budget == before.budget
    assert doctor(monkeypatch, study, "--write-space") == 0  # again: the same lines, not twice
    text = study.read_text(encoding="utf-8")
    assert [text.count(f"  {name}:") for name in ("anchor_base", "lr_per_16", "adam_lr_per_16")] == [1, 1, 1]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        pytest.param("data: {folder: data}\n", True, id="no space section"),
        pytest.param("data: {folder: data}\nspace:\n", True, id="an empty one"),
        pytest.param("data: {folder: data}\nspace: {anchor_ratios: 1}\n", True, id="all on one line"),
        pytest.param("data: {folder: data}\nspace:\n    anchor_base: 4\n", True, id="indented by four"),
        pytest.param(
            "data: &d {folder: data}\nspace: {lr_per_16: &r {low: 0.001, high: 0.002}, adam_lr_per_16: *r}\n",
            False,
            id="an alias",
        ),
    ],
)
def test_a_space_in_any_style_is_changed_unless_a_program_cannot(
    study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str, written: bool
) -> None:
    study.write_text(text, encoding="utf-8")
    assert doctor(monkeypatch, study, "--write-space") == (0 if written else 2)
    assert (study.read_text(encoding="utf-8") == text) is not written
    assert written or "by hand" in capsys.readouterr().err


def test_write_space_without_a_study_file_is_refused(
    study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert doctor(monkeypatch, "--data", study.parent / "data", "--write-space") == 2
    assert "--data names none" in capsys.readouterr().err


def test_the_doctor_loads_no_keras_no_backend_of_it_and_without_pictures_no_matplotlib(study: Path) -> None:
    code = (
        "import sys; sys.argv = ['frcnn-search', 'doctor', sys.argv[1], '--json']\n"
        "from search.command_line import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({name.split('.')[0] for name in sys.modules}), file=sys.stderr)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code, str(study)], env=environment, capture_output=True, text=True, timeout=60
    )
    loaded = set(done.stderr.strip("[]\n").replace("'", "").split(", "))
    assert "detector" in loaded
    assert not loaded & {"keras", "tensorflow", "jax", "torch", "matplotlib"}


def test_counts_that_the_densest_image_needs_are_written_into_the_detector_section(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = study.parent / "data" / "train.json"
    document = json.loads(file.read_text())
    first = document["annotations"][0]
    document["annotations"] += [
        {**first, "id": 10_000 + n, "bbox": [3 + 11 * (n % 11), 3 + 11 * (n // 11), 9, 10]} for n in range(80)
    ]
    file.write_text(json.dumps(document))
    study.write_text(study.read_text() + "detector:\n  canvas: 96x128  # mine\n")
    dense = sum(box["image_id"] == first["image_id"] for box in document["annotations"])
    assert doctor(monkeypatch, study, "--write-space") == 0
    after = load_study_file(study)
    assert "  canvas: 96x128  # mine\n" in study.read_text()
    assert after.detector.proposals == -(-2 * dense // 64) * 64
    assert after.detector.roi_samples == -(-4 * dense // 64) * 64
    assert doctor(monkeypatch, study, "--write-space") == 0
    assert load_study_file(study) == after
