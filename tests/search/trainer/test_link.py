import contextlib
import os
import signal
import time
from pathlib import Path

import pytest

from detector.config import Hyperparameters
from search.trainer import link as link_module
from search.trainer.exits import TrainerDied, TrainerLost
from search.trainer.link import TrainerLink, _event
from search.trainer.protocol import Advance, Event, Pause, Preparing, ProtocolError, Ready, Start, Started, encode
from tests.search.conftest import analytic_plan
from trial.outcome import Outcome
from trial.reports import PausedReport, ProgressReport, RungReport
from trial.verdict import Verdict

TIMEOUT_S = 30.0


@pytest.fixture
def connect(tmp_path, plan):
    """Starts analytic trainers that are set up, with these faults (search/trainer/analytic_faults.py)."""
    links = []

    def start(faults: str = "", step_s: float = 0.0) -> TrainerLink:
        variables = {**os.environ, "FRCNN_ANALYTIC_FAULTS": faults, "FRCNN_ANALYTIC_STEP_S": str(step_s)}
        link = TrainerLink("analytic", log=tmp_path / "trainer.log", environment=variables)
        links.append(link)
        link.send(plan.setup)
        assert isinstance(receive(link), Preparing)
        assert isinstance(receive(link), Ready)
        return link

    yield start
    for link in links:
        link.kill()


@pytest.fixture
def start(tmp_path) -> Start:
    return Start(
        trial=3, hyperparameters=Hyperparameters(), seed=5, budget_images=1440, directory=tmp_path / "trials" / "3"
    )


def receive(link: TrainerLink) -> Event:
    event = link.poll(TIMEOUT_S)
    assert event is not None, f"the trainer said nothing for {TIMEOUT_S} s"
    return event


def until(link: TrainerLink, kind: type):
    while isinstance(event := receive(link), ProgressReport):
        pass
    assert isinstance(event, kind)
    return event


def test_a_trainer_trains_from_rung_to_rung_and_leaves_with_its_pipe(connect, start):
    link = connect()
    link.send(start)
    assert until(link, Started).images == 0
    link.send(Advance(to_images=100))
    rung = until(link, RungReport)
    assert (rung.images, rung.step) == (112, 7)  # rounded up to whole batches of 16
    link.send(Advance(to_images=1440))
    assert until(link, RungReport).ap > rung.ap
    assert link.close() == 0


def test_a_pause_is_seen_between_two_steps_and_the_trial_goes_on_from_there(connect, start):
    link = connect(step_s=0.02)
    link.send(start)
    link.send(Advance(to_images=1440))
    assert until(link, Started).images == 0
    assert isinstance(receive(link), ProgressReport)
    link.send(Pause())
    images = until(link, PausedReport).images
    assert 0 < images < 1440
    link.send(start)
    assert until(link, Started).images == images


def test_a_pause_between_two_advances_is_answered_too(connect, start):
    link = connect()
    link.send(start)
    until(link, Started)
    link.send(Pause())
    assert until(link, PausedReport).images == 0
    link.send(Advance(to_images=160))  # and it is answered once
    assert until(link, RungReport).images == 160


def test_a_trainer_whose_worker_is_gone_checkpoints_and_leaves(connect, start):
    link = connect(step_s=0.02)
    link.send(start)
    link.send(Advance(to_images=1440))
    until(link, Started)
    receive(link)
    assert link.close(timeout_s=TIMEOUT_S) == 0
    fresh = connect()
    fresh.send(start)
    assert until(fresh, Started).images > 0


@pytest.mark.parametrize(("fault", "ending"), [("kill", "SIGKILL"), ("segfault", "SIGSEGV"), ("exit", "exit code 3")])
def test_a_death_is_told_with_what_killed(connect, start, fault, ending):
    link = connect(f"3:{fault}")
    link.send(start)
    link.send(Advance(to_images=160))
    until(link, Started)
    with pytest.raises(TrainerDied) as death:
        until(link, RungReport)
    assert death.value.ending == ending
    with pytest.raises(TrainerDied):
        link.send(Pause())
    with pytest.raises(TrainerDied):
        link.poll(TIMEOUT_S)


@pytest.mark.parametrize(
    ("fault", "outcome", "code"), [("memory", Outcome.OUT_OF_MEMORY, 0), ("error", Outcome.CRASHED, 1)]
)
def test_an_exception_becomes_a_verdict_and_the_process_leaves(connect, start, fault, outcome, code):
    link = connect(f"3:{fault}")
    link.send(start)
    link.send(Advance(to_images=160))
    until(link, Started)
    verdict = until(link, Verdict)
    assert verdict.outcome is outcome
    assert "analytic_faults" in str(verdict.evidence["traceback"])
    with pytest.raises(TrainerDied) as death:
        link.poll(TIMEOUT_S)
    assert death.value.returncode == code
    assert any("Traceback" in line for line in death.value.tail)


def test_silence_is_told_as_a_hang_and_a_hung_trainer_can_be_killed(connect, start):
    link = connect("3:hang")
    link.send(start)
    link.send(Advance(to_images=160))
    until(link, Started)
    while link.poll(0.5) is not None:
        pass
    assert "said nothing" in str(link.hung())
    assert link.alive
    link.kill()
    assert not link.alive


def test_a_terminals_ctrl_c_does_not_reach_the_trainer(connect, start):
    link = connect()
    assert os.getsid(link.pid) == link.pid != os.getsid(0)
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(link.pid, number)
    time.sleep(0.1)
    link.send(start)
    assert until(link, Started).images == 0


def test_credentials_are_kept_from_the_trainer(tmp_path, monkeypatch):
    monkeypatch.setenv("STUDY_STORAGE", "postgresql://user:canary@host/study")
    with TrainerLink("analytic", log=tmp_path / "trainer.log", withheld=["STUDY_STORAGE"]) as link:
        assert b"canary" not in Path(f"/proc/{link.pid}/environ").read_bytes()


def test_a_trainer_that_does_not_exist_dies_with_its_reason(tmp_path, plan):
    link = TrainerLink("quantum", log=tmp_path / "trainer.log")
    with pytest.raises(TrainerDied) as death:
        link.poll(TIMEOUT_S)
    assert any("detector or analytic" in line for line in death.value.tail)
    link.close()


def test_an_earlier_trials_last_words_do_not_count_for_the_next(connect, start, tmp_path):
    with (tmp_path / "trainer.log").open("a") as log:
        log.write("std::bad_alloc\n")
    link = connect("3:kill")
    link.send(start)
    link.send(Advance(to_images=160))
    until(link, Started)
    with pytest.raises(TrainerDied) as death:
        until(link, RungReport)
    assert not any("bad_alloc" in line for line in death.value.tail)


def test_a_command_from_the_trainer_is_refused():
    with pytest.raises(ProtocolError, match="a command came from the trainer"):
        _event(encode(Pause()))


@pytest.mark.parametrize("said", ["b'\\xff\\n'", "b'[' * 100_000 + b'\\n'", "b'x' * 40_000_000 + b'\\n'"])
def test_whatever_a_trainer_says_the_worker_is_told_within_seconds(tmp_path, monkeypatch, said):
    """No UTF-8, nested too deep, a line without an end: the reader must not die in silence, nor fill the memory."""
    monkeypatch.setattr(
        link_module, "PROGRAM", ("-c", f"import sys, time; sys.stdout.buffer.write({said}); time.sleep(60)")
    )
    with contextlib.closing(TrainerLink("analytic", log=tmp_path / "trainer.log")) as link:
        with pytest.raises(TrainerLost):
            receive(link)
        link.kill()


def test_a_reader_that_dies_tells_why(tmp_path, monkeypatch):
    def broken(_: str) -> Event:
        raise RuntimeError("a bug of ours")

    monkeypatch.setattr(link_module, "_event", broken)
    link = TrainerLink("analytic", log=tmp_path / "trainer.log")
    link.send(analytic_plan(tmp_path).setup)
    with pytest.raises(ProtocolError, match="a bug of ours"):
        receive(link)
    link.kill()
