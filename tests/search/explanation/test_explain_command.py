"""`frcnn-search explain` as a user runs it: exit codes, text, JSON, pages."""

import json
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from search.command_line import main
from search.study.study_text import study_text
from storage.connection.database import Database
from tests.support.planting import Sown, diverged, healthy, plant, planted_specification
from trial.outcome import Outcome

EVIL = "<script>alert(1)</script>"
CURVE = tuple(
    {
        "loss": 2.0 * 3**step,
        "gradient_norm": 5.0 * 4**step,
        "update_ratio_rpn": 0.01,
        "learning_rate": 0.1,
        "boxes": 3.0,
    }
    for step in range(8)
)
FAILED = Sown(
    outcome=Outcome.DIVERGED,
    values={"lr_per_16": 0.1},
    rule="exploding",
    term="loss_rpn_box",
    images=128,
    evidence={
        "loss_rpn_box": float("inf"),
        "images": f"train_0001.png\n{EVIL}.png",
        "stderr": f"{EVIL} & more",
        "warnings": "gradient spike at step 3: the gradient norm jumped",
    },
    curve=CURVE,
)

RISKY = Sown(outcome=Outcome.RISKY, values={"lr_per_16": 0.1}, evidence={"risk": 0.75})


@pytest.fixture(scope="module")
def study_file(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a study with two healthy trials, two diverged, one that runs, one refused. Not to be changed."""
    folder = tmp_path_factory.mktemp("explained")
    specification = planted_specification(f"sqlite:///{folder / 'study.db'}", sample)
    with Database.open(specification.storage) as database:
        plant(
            database, specification, [healthy(0.02), healthy(0.01), FAILED, diverged(0.08), Sown(outcome=None), RISKY]
        )
    file = folder / "study.yaml"
    file.write_text(study_text(specification), encoding="utf-8")
    return file


def explain(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["frcnn-search", "explain", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        main()
    return int(left.value.code or 0)


class Outside(HTMLParser):
    """Collects what a page would run or load."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.scripts = 0
        self.addresses: list[str] = []
        self.images = 0
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag in ("script", "iframe", "object", "embed") or any(
            name.startswith("on") for name, _ in attrs
        )
        self.images += tag == "img"
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_trial_is_told_with_its_evidence_and_its_repair(
    study_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert explain(monkeypatch, study_file, 2) == 0
    text = capsys.readouterr().out
    for expected in (
        "trial 2 diverged: the RPN's box loss exploded – loss_rpn_box was seen (at step 7; 128 of 960 images were",
        "learning rate too high",  # five times the reference's, whatever the warm-up
        "lower lr_per_16 from 0.1 to 0.02",
        "or: raise warmup_fraction from 0.011 to 0.1",
        "gradient spike",
        "train_0001.png",
        "8.19e+04",  # the gradient norm at the end, 5 × 4⁷; before it, 5 × 4⁶
        "2.05e+04",
        "healthy trial: 0",
    ):
        assert expected in text.replace("\n", " ").replace("  ", " ") or expected in text


def test_a_proposal_that_was_refused_is_told_as_such(
    study_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    assert explain(monkeypatch, study_file, 5, "--html", page) == 0
    text = capsys.readouterr().out
    assert "trial 5 was never trained (risky): risky was seen" in text
    assert "risk: 0.75" in text
    assert "health figures" not in text
    assert "did not fail" not in text
    shown = Outside(page.read_text()).text
    assert "was never trained" in shown
    assert "Nothing needs mending" not in shown


def test_a_study_is_told_when_no_trial_is_named(
    study_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert explain(monkeypatch, study_file) == 0
    text = capsys.readouterr().out
    for expected in ("2 of 4 trials failed", "learning rate too high", "smallest diverged", "what to do next"):
        assert expected in text


def test_a_number_alone_is_a_trial_of_the_study_file_here(
    study_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(study_file.parent)
    assert explain(monkeypatch, 3) == 0
    assert "trial 3 diverged" in capsys.readouterr().out


def test_json_is_one_object_with_the_documented_keys(
    study_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert explain(monkeypatch, study_file, 2, "--json") == 0
    trial = json.loads(capsys.readouterr().out)
    assert set(trial) == {
        "schema", "study", "trial", "state", "outcome", "failed", "verdict", "cause", "because", "rule", "term",
        "words", "message", "step", "images", "budget_images", "ap", "parameters", "figures", "evidence", "warnings",
        "batch_images", "repair", "alternatives", "steps", "nearest_healthy", "from", "curve", "confirmation",
    }  # fmt: skip
    assert trial["evidence"]["loss_rpn_box"] == "inf"
    assert trial["repair"]["values"] == {"lr_per_16": 0.02}
    assert [point["step"] for point in trial["curve"]] == list(range(8))
    assert explain(monkeypatch, study_file, "--json", "--without-data") == 0
    study = json.loads(capsys.readouterr().out)
    assert set(study) == {
        "schema", "study", "ended", "failed", "refused", "images", "best", "causes", "failures", "rate_boundaries",
        "rate_points", "anchors", "importances", "cuts", "mattered", "did_not_matter", "next_steps", "space",
    }  # fmt: skip
    assert study["anchors"] is None
    assert study["causes"][0]["repair"]["parameter"] == "lr_per_16"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["9"], "no trial 9 that has begun; they are 0 to 4", id="unknown trial"),
        pytest.param(["0", "--confirm"], "did not fail", id="a healthy trial"),
        pytest.param(["4", "--confirm"], "did not fail", id="a trial that runs"),
        pytest.param(["--confirm"], "--confirm needs the number of a trial", id="a whole study"),
        pytest.param(["2", "--images", "9"], "together with --confirm", id="a length of nothing"),
        pytest.param(["2", "--html", "missing/page.html"], "cannot be written", id="no such folder"),
        pytest.param(["2", "--html", "study.yaml"], "is not a page of ours", id="another file"),
    ],
)
def test_what_the_user_must_change_ends_with_2_and_one_message(
    study_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(study_file.parent)
    before = study_file.read_bytes()
    assert explain(monkeypatch, study_file, *arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert study_file.read_bytes() == before


def test_a_study_that_was_never_launched_ends_with_2(
    study_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    other = study_file.with_name("other.yaml")
    other.write_text(study_file.read_text(encoding="utf-8").replace("name: planted", "name: never"), encoding="utf-8")
    assert explain(monkeypatch, other) == 2
    assert "no study 'never'" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["2"], []], ids=["trial", "study"])
def test_a_page_runs_nothing_loads_nothing_and_escapes_what_the_data_says(
    study_file: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    page_file = study_file.with_name("page.html")
    assert explain(monkeypatch, study_file, *arguments, "--html", page_file) == 0
    page = Outside(page_file.read_text(encoding="utf-8"))
    assert page.scripts == 0
    assert page.images >= 2
    assert all(address.startswith("data:") for address in page.addresses)
    assert (EVIL in page.text) is bool(arguments)  # as words
    assert explain(monkeypatch, study_file, *arguments, "--html", page_file) == 0  # ours, so it may be replaced


def test_the_same_explanation_gives_the_same_page(study_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = []
    for name in ("one.html", "other.html"):
        assert explain(monkeypatch, study_file, 2, "--html", study_file.with_name(name)) == 0
        pages.append(study_file.with_name(name).read_bytes())
    assert pages[0] == pages[1]


def test_the_images_of_the_failing_batch_are_shown_where_the_data_is_at_hand(
    study_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_data, without = (study_file.with_name(name) for name in ("with.html", "without.html"))
    assert explain(monkeypatch, study_file, 2, "--html", with_data) == 0
    assert explain(monkeypatch, study_file, 2, "--html", without, "--without-data") == 0
    shown, named = (Outside(file.read_text(encoding="utf-8")) for file in (with_data, without))
    assert shown.images == named.images + 1  # train_0001.png; the other name is no image of the data
    assert "train_0001.png" in named.text
