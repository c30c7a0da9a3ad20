import errno
import io
import json
from collections.abc import Callable

import pytest

from detector.config import ConfigError
from detector.data.formats.annotation import DataError
from detector.setup import Setup
from search.trainer.process import Inbox, Outbox, Service, runner_of
from search.trainer.protocol import Advance, Event, Pause, Preparing, Ready, Start, Started, decode, encode
from trial.outcome import Outcome
from trial.reports import PausedReport, ProgressReport, RungReport
from trial.verdict import Verdict


class ScriptedRunner:
    """Answers as told: each call of `advance` does the next thing on its list, or raises it."""

    def __init__(self, *script: Event | Exception, setup: Exception | None = None) -> None:
        self._script = list(script)
        self._setup = setup

    def setup(self, setup: Setup, on_preparing: Callable[[Preparing], None]) -> Ready:
        on_preparing(Preparing(stage="images", done=1, total=2))
        if self._setup is not None:
            raise self._setup
        return Ready(backend="script", device="none", versions={}, setup_s=0.0)

    def start(self, start: Start) -> Started:
        return Started(images=0)

    def advance(
        self, to_images: int, on_progress: Callable[[ProgressReport], None], should_pause: Callable[[], bool]
    ) -> RungReport | PausedReport | Verdict:
        answer = self._script.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def serve(runner: ScriptedRunner, *commands) -> tuple[int, list[Event]]:
    """Exit code and answers to these commands, with the input ending after them."""
    output = io.StringIO()
    lines = io.StringIO("".join(f"{encode(command)}\n" for command in commands))
    code = Service(runner, Inbox(lines), Outbox(output)).run()
    return code, [decode(line) for line in output.getvalue().splitlines()]


@pytest.fixture
def no_deadline(monkeypatch):
    """The process of these tests must not end 20 s after an input did."""
    monkeypatch.setattr("search.trainer.process.ORPHAN_GRACE_S", 10**6)


pytestmark = pytest.mark.usefixtures("no_deadline")


def rung(images: int) -> RungReport:
    return RungReport(step=1, images=images, ap=0.5, metrics={}, training_s=1.0, evaluation_s=0.1)


def test_commands_are_answered_in_order_and_the_end_of_the_input_is_the_end(plan):
    code, events = serve(ScriptedRunner(rung(16)), plan.setup, Advance(to_images=16))
    assert code == 0
    assert [type(event) for event in events] == [Preparing, Ready, RungReport]


def test_a_pause_that_came_too_late_is_answered_with_what_is_checkpointed():
    _, events = serve(ScriptedRunner(rung(16)), Advance(to_images=16), Pause())
    assert events == [rung(16), PausedReport(images=16)]


def test_a_pause_that_the_runner_obeyed_is_not_answered_twice():
    _, events = serve(ScriptedRunner(PausedReport(images=4)), Advance(to_images=16), Pause())
    assert events == [PausedReport(images=4)]


@pytest.mark.parametrize("error", [ConfigError("the canvas must be wider"), DataError("train.json: no images")])
def test_what_the_user_must_change_ends_the_setup_with_code_2(plan, error):
    code, events = serve(ScriptedRunner(setup=error), plan.setup)
    assert code == 2
    assert isinstance(events[-1], Verdict)
    assert (events[-1].outcome, events[-1].message) == (Outcome.BAD_DATA, str(error))


class ResourceExhaustedError(Exception):
    """As TensorFlow names it."""


class XlaRuntimeError(RuntimeError):
    """As JAX names it."""


@pytest.mark.parametrize(
    ("error", "outcome", "code"),
    [
        (MemoryError(), Outcome.OUT_OF_MEMORY, 0),
        (ResourceExhaustedError("when allocating tensor"), Outcome.OUT_OF_MEMORY, 0),
        (XlaRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 1 byte"), Outcome.OUT_OF_MEMORY, 0),
        (XlaRuntimeError("INTERNAL: the device is lost"), Outcome.CRASHED, 1),
        (KeyError("loss"), Outcome.CRASHED, 1),
        (OSError(errno.ENOSPC, "No space left on device"), Outcome.INTERRUPTED, 0),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_unforeseen_exception_is_told_and_ends_the_process(error, outcome, code, capsys):
    got, events = serve(ScriptedRunner(rung(16), error, rung(32)), *[Advance(to_images=n) for n in (16, 32, 48)])
    assert got == code
    assert [type(event) for event in events] == [RungReport, Verdict]
    verdict = events[-1]
    assert (verdict.outcome, verdict.images) == (outcome, 16)
    assert "Traceback" in str(verdict.evidence["traceback"])
    assert "Traceback" in capsys.readouterr().err


def test_a_line_that_is_no_command_ends_the_service(caplog):
    output = io.StringIO()
    lines = io.StringIO(json.dumps({"type": "Nonsense"}) + "\n" + encode(Advance(to_images=1)) + "\n")
    assert Service(ScriptedRunner(), Inbox(lines), Outbox(output)).run() == 0
    assert output.getvalue() == ""
    assert "Nonsense" in caplog.text


def test_only_known_trainers_are_made():
    with pytest.raises(ConfigError, match="detector or analytic"):
        runner_of("quantum")
