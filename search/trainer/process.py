"""The child process: takes commands from its standard input, trains, answers on its standard output.

    python -m search.trainer.process detector|analytic

It outlives many trials, and leaves when its input ends: between trials at once, in the middle of one after the
checkpoint of the current step. Signals of a terminal or a scheduler are ignored: the worker decides.
Exit codes: 0 asked to leave, or memory or disk ran out (said in a `Verdict`); 1 a bug (said too); 2 the user must
change something.
"""

import contextlib
import logging
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from typing import IO, Protocol, assert_never

from detector.config import ConfigError
from detector.setup import Setup
from search.terminal import log_to_stderr, visible
from search.trainer.exits import TAIL_CHARACTERS, says_disk_full, says_out_of_memory
from search.trainer.protocol import (
    Advance,
    Command,
    Event,
    Pause,
    Preparing,
    ProtocolError,
    Ready,
    Start,
    Started,
    decode,
    encode,
)
from trial.outcome import Outcome
from trial.reports import PausedReport, ProgressReport, RungReport
from trial.verdict import DISK_FULL, Verdict

ORPHAN_GRACE_S = 20.0  # to checkpoint after the worker is gone; well under a lease, so nobody else has the trial yet

logger = logging.getLogger(__name__)


class TrialRunner(Protocol):
    """What a trainer can do; one trial at a time."""

    def setup(self, setup: Setup, on_preparing: Callable[[Preparing], None]) -> Ready:
        """Load data and build, once.

        Raises:
            ConfigError: the data or the settings cannot be used; the message says what to change.
        """
        ...

    def start(self, start: Start) -> Started | Verdict:
        """Begin a trial, or go on from a valid checkpoint in its directory."""
        ...

    def advance(
        self,
        to_images: int,
        on_progress: Callable[[ProgressReport | Preparing], None],
        should_pause: Callable[[], bool],
    ) -> RungReport | PausedReport | Verdict:
        """Train until so many images were seen, checkpoint, evaluate; checkpoint early when `should_pause()`.

        Says at least every `MOST_STEPS_UNSAID` steps, and while it evaluates, how far it has come.
        """
        ...


class Inbox:
    """Commands of the worker, read in a thread, so that a pause is seen between two steps."""

    def __init__(self, lines: IO[str]) -> None:
        self._lines = lines
        self._commands: queue.SimpleQueue[Command | None] = queue.SimpleQueue()
        self._pause = threading.Event()
        threading.Thread(target=self._read, name="commands", daemon=True).start()

    def take(self) -> Command | None:
        """The next command, or None at the end of the input."""
        return self._commands.get()

    def should_pause(self) -> bool:
        return self._pause.is_set()

    def answered(self) -> bool:
        """Note that a pause was obeyed. Returns whether one was asked for."""
        asked = self._pause.is_set()
        self._pause.clear()
        return asked

    def _read(self) -> None:
        try:
            for line in self._lines:
                message = decode(line)
                if isinstance(message, Pause):
                    self._pause.set()
                if isinstance(message, Command):
                    self._commands.put(message)
        except ProtocolError:
            logger.exception("a worker that we do not understand is as good as gone")
        finally:
            self._pause.set()
            self._commands.put(None)
            deadline = threading.Timer(ORPHAN_GRACE_S, os._exit, args=(1,))
            deadline.daemon = True
            deadline.start()


class Outbox:
    """The real standard output. A worker that is gone is no error here: the inbox ends too, and says so."""

    def __init__(self, lines: IO[str]) -> None:
        self._lines = lines

    def send(self, event: Event) -> None:
        try:
            self._lines.write(encode(event) + "\n")
            self._lines.flush()
        except BrokenPipeError:
            logger.warning("nobody reads our events any more")


class Service:
    """Answers commands with a runner, until the input ends or an error leaves the process unusable."""

    def __init__(self, runner: TrialRunner, inbox: Inbox, outbox: Outbox) -> None:
        self._runner = runner
        self._inbox = inbox
        self._outbox = outbox
        self._images = 0

    def run(self) -> int:
        """Serve; returns the exit code."""
        while (command := self._inbox.take()) is not None:
            try:
                self._answer(command)
            except ConfigError as error:
                self._end(Outcome.BAD_DATA, type(error).__name__, str(error), {})
                return 2
            except Exception as error:
                return self._fail(error)
        return 0

    def _answer(self, command: Command) -> None:
        match command:
            case Setup():
                self._outbox.send(self._runner.setup(command, self._outbox.send))
            case Start():
                self._images = 0
                self._reply(self._runner.start(command))
            case Advance():
                reply = self._runner.advance(command.to_images, self._outbox.send, self._inbox.should_pause)
                if isinstance(reply, PausedReport):
                    self._inbox.answered()
                self._reply(reply)
            case Pause():
                if self._inbox.answered():  # it came between two advances: what there is, is checkpointed
                    self._reply(PausedReport(images=self._images))
            case _:
                assert_never(command)

    def _reply(self, event: Started | RungReport | PausedReport | Verdict) -> None:
        if not isinstance(event, Verdict):
            self._images = event.images
        self._outbox.send(event)

    def _fail(self, error: Exception) -> int:
        """Report an exception that the runner did not foresee; the process is not to be trusted any more."""
        trace = "".join(traceback.format_exception(error))
        with contextlib.suppress(OSError):  # a full disk takes no log either
            sys.stderr.write(visible(trace))
        evidence: dict[str, float | str] = {"traceback": trace[-TAIL_CHARACTERS:]}
        summary = f"{type(error).__name__}: {error}"[:300]
        if says_out_of_memory(summary):
            self._end(Outcome.OUT_OF_MEMORY, "process memory", summary, evidence)
            return 0
        if says_disk_full(error):
            message = f"a file could not be written ({summary}); make room, then go on"
            self._end(Outcome.INTERRUPTED, DISK_FULL, message, evidence)
            return 0
        self._end(Outcome.CRASHED, type(error).__name__, summary, evidence)
        return 1

    def _end(self, outcome: Outcome, cause: str, message: str, evidence: dict[str, float | str]) -> None:
        verdict = Verdict(outcome=outcome, cause=cause, message=message, images=self._images, evidence=evidence)
        self._outbox.send(verdict)


def runner_of(kind: str) -> TrialRunner:
    """The runner of that name; only the real one loads Keras.

    Raises:
        ConfigError: there is none of that name.
    """
    if kind == "detector":
        from search.trainer.detector_runner import DetectorRunner

        return DetectorRunner()
    if kind == "analytic":
        from search.trainer.analytic import AnalyticRunner

        return AnalyticRunner()
    raise ConfigError(f"the trainer must be detector or analytic, but is {kind!r}")


def take_over_stdout() -> IO[str]:
    """The protocol's stream; whatever else writes to standard output from now on lands in standard error."""
    protocol = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return protocol


def main(arguments: list[str]) -> int:
    """Serve one worker; returns the exit code."""
    outbox = Outbox(take_over_stdout())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    log_to_stderr("%(asctime)s %(name)s: %(message)s")
    if len(arguments) != 1:
        raise ConfigError(f"one argument is needed, detector or analytic, but got {arguments}")
    inbox = Inbox(sys.stdin)  # before anything heavy is loaded, so that the end of the input is noticed
    return Service(runner_of(arguments[0]), inbox, outbox).run()


if __name__ == "__main__":
    code = main(sys.argv[1:])
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    os._exit(code)  # a framework's own threads must not delay or spoil the exit
