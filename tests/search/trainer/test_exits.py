import errno
from pathlib import Path

import pytest

from search.trainer.exits import (
    Position,
    TrainerDied,
    TrainerHung,
    classify,
    count_memory_kills,
    says_disk_full,
    says_out_of_memory,
)
from trial.outcome import Outcome

HERE = Position(step=7, images=112)


@pytest.mark.parametrize(
    ("returncode", "last_line", "killed_for_memory", "outcome", "cause"),
    [
        pytest.param(-9, "", False, Outcome.CRASHED, "killed (SIGKILL)", id="a bare kill proves nothing"),
        pytest.param(-9, "", True, Outcome.OUT_OF_MEMORY, "host memory", id="the kernel counted a kill for memory"),
        pytest.param(-11, "", True, Outcome.CRASHED, "killed (SIGSEGV)", id="another signal is no kill for memory"),
        pytest.param(-6, "what():  std::bad_alloc", False, Outcome.OUT_OF_MEMORY, "process memory", id="C++"),
        pytest.param(1, "numpy MemoryError: 3 GiB", False, Outcome.OUT_OF_MEMORY, "process memory", id="Python"),
        pytest.param(1, "ResourceExhaustedError: OOM", False, Outcome.OUT_OF_MEMORY, "process memory", id="TensorFlow"),
        pytest.param(1, "RESOURCE_EXHAUSTED: Out of memory", False, Outcome.OUT_OF_MEMORY, "process memory", id="XLA"),
        pytest.param(1, "CUDA_ERROR_OUT_OF_MEMORY", False, Outcome.OUT_OF_MEMORY, "process memory", id="CUDA"),
        pytest.param(
            1, "ran out of memory … this is not a failure", False, Outcome.CRASHED, "exit code 1",
            id="an allocation that TensorFlow can do without",
        ),
        pytest.param(3, "ValueError: no", False, Outcome.CRASHED, "exit code 3", id="an exit"),
    ],
)  # fmt: skip
def test_a_death_is_called_out_of_memory_only_with_evidence(returncode, last_line, killed_for_memory, outcome, cause):
    death = TrainerDied(returncode, ("an earlier line", last_line), killed_for_memory=killed_for_memory)
    verdict = classify(death, HERE)
    assert (verdict.outcome, verdict.cause) == (outcome, cause)
    assert (verdict.step, verdict.images) == (7, 112)
    assert "an earlier line" in str(verdict.evidence["stderr"])


def test_a_silent_trainer_is_a_crash_called_hung():
    verdict = classify(TrainerHung(900.4), HERE)
    assert (verdict.outcome, verdict.cause) == (Outcome.CRASHED, "hung")
    assert verdict.evidence["idle_s"] == 900.4
    assert "900 s" in verdict.message


@pytest.mark.parametrize(
    ("text", "expected"), [("Cannot allocate memory", True), ("memory is fine", False), ("", False)]
)
def test_only_known_phrases_say_that_memory_ran_out(text, expected):
    assert says_out_of_memory(text) is expected


def caused_by(origin: Exception) -> Exception:
    error = RuntimeError("the checkpoint could not be written")
    error.__cause__ = origin
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        pytest.param(OSError(errno.ENOSPC, "No space left on device"), True, id="a full disk"),
        pytest.param(OSError(errno.EDQUOT, "Disk quota exceeded"), True, id="a full quota"),
        pytest.param(ValueError("IoError: No space left on device (os error 28)"), True, id="a library's words"),
        pytest.param(caused_by(OSError(errno.EFBIG, "File too large")), True, id="one error led to another"),
        pytest.param(OSError(errno.EACCES, "Permission denied"), False, id="something else"),
    ],
)
def test_a_full_disk_is_recognised_wherever_it_is_said(error, expected):
    assert says_disk_full(error) is expected


def lay(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def test_kills_are_counted_in_our_control_group_before_the_machine(tmp_path):
    assert count_memory_kills(tmp_path) is None
    lay(tmp_path, "proc/vmstat", "nr_free_pages 17\noom_kill 5\n")
    assert count_memory_kills(tmp_path) == 5
    lay(tmp_path, "proc/self/cgroup", "0::/user.slice/a\n")
    lay(tmp_path, "sys/fs/cgroup/user.slice/a/memory.events", "low 0\noom 3\noom_kill 2\n")
    assert count_memory_kills(tmp_path) == 2


def test_a_damaged_counter_is_no_counter(tmp_path):
    lay(tmp_path, "proc/vmstat", "oom_kill many\n")
    assert count_memory_kills(tmp_path) is None
