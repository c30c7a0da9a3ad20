import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.worker import outbox
from search.worker.outbox import Crashes, End, Evaluation, Figures, Outbox, read_entries
from trial.outcome import Outcome
from trial.reports import RungReport, TelemetryPoint
from trial.verdict import Verdict

RECORD = RungReport(images=160, step=10, ap=0.25, metrics={"ap": 0.25}, training_s=1.0, evaluation_s=0.5)
POINT = TelemetryPoint(step=5, images=80, figures={"loss": math.inf})
ENTRIES = [
    Figures(points=[POINT]),
    Evaluation(rung=160, record=RECORD),
    Crashes(count=2),
    End(verdict=Verdict(outcome=Outcome.DIVERGED, cause="loss", evidence={"loss": math.inf, "why": "é\n"})),
]


def filled(directory, token: int, entries=ENTRIES) -> Outbox:
    box = Outbox(directory, token)
    for entry in entries:
        box.append(entry)
    return box


def test_what_was_put_in_comes_out_in_order_with_every_float(tmp_path):
    filled(tmp_path, 1)
    assert read_entries(tmp_path / "outbox-000001.jsonl") == ENTRIES


def test_the_next_owner_finds_what_all_earlier_ones_left_behind_but_no_later_one(tmp_path):
    filled(tmp_path, 9, ENTRIES[:1])
    filled(tmp_path, 10, ENTRIES[1:2])
    filled(tmp_path, 12, ENTRIES[2:3])
    assert filled(tmp_path, 11, []).left_behind() == ENTRIES[:2]


def test_clearing_leaves_a_successors_entries_alone(tmp_path):
    """A worker that lost its trial may be about to clear."""
    zombie = filled(tmp_path, 1)
    filled(tmp_path, 2)
    zombie.clear()
    assert [path.name for path in tmp_path.iterdir()] == ["outbox-000002.jsonl"]


@given(data=st.data())
def test_a_file_that_ends_anywhere_gives_its_whole_entries(tmp_path_factory, data):
    directory = tmp_path_factory.mktemp("outbox")
    filled(directory, 1)
    path = directory / "outbox-000001.jsonl"
    whole = path.read_bytes()
    end = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:end])
    assert read_entries(path) == ENTRIES[: whole[:end].count(b"\n")]


def test_a_full_outbox_takes_no_more_figures_but_every_result(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(outbox, "MOST_BYTES", 10)
    filled(tmp_path, 1, [*ENTRIES[:2], *ENTRIES[:1], *ENTRIES[2:]])
    assert read_entries(tmp_path / "outbox-000001.jsonl") == ENTRIES
    assert "no more figures" in caplog.text


def test_a_disk_that_takes_nothing_is_said_aloud_and_stops_nobody(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    filled(tmp_path / "file" / "folder", 1, ENTRIES[:1])
    assert "can't be kept on disk" in caplog.text


DEEP = '{"kind": "figures", "points": ' + "[" * 20_000 + "]" * 20_000 + "}"
RECORDED = '{"step": 1, "images": %s, "ap": %s, "metrics": {}, "training_s": 1, "evaluation_s": 1}'
EVALUATION = '{"kind": "evaluation", "rung": %s, "record": ' + RECORDED + "}"


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(DEEP, id="nested too deep"),
        pytest.param(EVALUATION % (-1, 16, 0.5), id="a rung below 0"),
        pytest.param(EVALUATION % (10**30, 16, 0.5), id="a rung that no column takes"),
        pytest.param(EVALUATION % (16, -1, 0.5), id="images below 0"),
        pytest.param(EVALUATION % (16, 16, 1.5), id="an AP above 1"),
        pytest.param(EVALUATION % (16, 16, -0.5), id="an AP below 0"),
        pytest.param('{"kind": "crashes", "count": -1}', id="crashes below 0"),
        pytest.param('{"kind": "end", "verdict": {"outcome": "complete", "images": -3}}', id="a verdict below 0"),
    ],
)
def test_a_line_that_nobody_can_have_written_is_left_out_and_the_others_stay(tmp_path, caplog, line):
    filled(tmp_path, 1, ENTRIES[:2])
    path = tmp_path / "outbox-000001.jsonl"
    path.write_text(line + "\n" + path.read_text())
    assert read_entries(path) == ENTRIES[:2]
    assert "left out" in caplog.text


def test_a_trial_that_was_never_trained_leaves_no_folder_and_one_that_was_keeps_its_own(tmp_path):
    for checkpoint in (False, True):
        folder = tmp_path / str(checkpoint)
        outbox = Outbox(folder, 1)
        outbox.append(Crashes(count=1))
        if checkpoint:
            (folder / "checkpoint").touch()
        outbox.discard()
        assert folder.exists() == checkpoint
