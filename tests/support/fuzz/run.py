"""Readers in processes of their own, given one input after the other, watched for what they may not do."""

import contextlib
import logging
import multiprocessing
import tempfile
import time
import traceback
import warnings
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from random import Random

import psutil

from tests.support.fuzz.mutations import mutated
from tests.support.fuzz.target import Target

MOST_S = 10.0  # of the process's own time, on one input
MOST_BYTES = 2 * 10**9
LOOK_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """The process is about to read this input."""

    number: int
    at_s: float  # of its own time


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """It has."""

    number: int
    refused: bool
    finding: str
    took_s: float
    peak_bytes: int  # of the process so far


@dataclass(slots=True, kw_only=True)
class Tally:
    """What became of a reader's inputs."""

    read: int = 0
    refused: int = 0
    slowest_s: float = 0.0
    peak_bytes: int = 0
    findings: dict[int, str] = field(default_factory=dict)  # by number of the input

    def add(self, ended: Ended) -> None:
        self.slowest_s = max(self.slowest_s, ended.took_s)
        self.peak_bytes = max(self.peak_bytes, ended.peak_bytes)
        if ended.finding:
            self.findings[ended.number] = ended.finding
        elif ended.refused:
            self.refused += 1
        else:
            self.read += 1


def input_of(target: Target, seeds: list[bytes], seed: int, number: int) -> bytes:
    """The input of that number; the first ones are the valid ones themselves."""
    if number < len(seeds):
        return seeds[number]
    return mutated(seeds, Random(f"{seed}/{target.name}/{number}"))


def read_inputs(target: Target, seed: int, numbers: range, events: Connection) -> None:
    """In a process of its own: read the inputs, and say of each when it begins and how it ended."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="frcnn-fuzz-") as folder:
        seeds = target.seeds(Path(folder))
        for number in numbers:
            content = input_of(target, seeds, seed, number)
            began_s = time.process_time()
            events.send(Begun(number=number, at_s=began_s))
            refused, finding = _outcome(target, content, Path(folder))
            if number < len(seeds) and refused:
                finding = "a valid input was refused"
            took_s = time.process_time() - began_s
            events.send(Ended(number=number, refused=refused, finding=finding, took_s=took_s, peak_bytes=_peak_bytes()))


def _peak_bytes() -> int:
    """The most memory that this process ever had; what getrusage says is that of the process which started it, too."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def _outcome(target: Target, content: bytes, folder: Path) -> tuple[bool, str]:
    """Whether it was refused, and the traceback of what should not have happened."""
    try:
        target.read(content, folder)
    except target.refusals:
        return True, ""
    except Exception:
        return False, traceback.format_exc()
    return False, ""


def fuzz(target: Target, seed: int, numbers: range) -> Tally:
    """What becomes of these inputs. A process that dies, hangs or swells is a finding, and another one goes on."""
    tally = Tally()
    while numbers:
        last = _watch(target, seed, numbers, tally)
        numbers = range(last + 1, numbers.stop)
    return tally


def _watch(target: Target, seed: int, numbers: range, tally: Tally) -> int:
    """Follow one process to its end; the number of the last input that it was given."""
    events, theirs = multiprocessing.Pipe(duplex=False)
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=read_inputs, args=(target, seed, numbers, theirs))
    process.start()
    theirs.close()
    last, reading = numbers.start - 1, None
    with contextlib.suppress(EOFError):
        while reading is None or not (why := _excess(process, reading)):
            if not events.poll(LOOK_S):
                continue
            said = events.recv()
            reading = said if isinstance(said, Begun) else None
            if isinstance(said, Ended):
                tally.add(said)
                last = said.number
                if said.peak_bytes > MOST_BYTES:
                    tally.findings[last] = f"memory: {said.peak_bytes / 1e9:.1f} GB"
                    break
        else:
            tally.findings[reading.number] = why
    process.kill()
    process.join()
    if reading is not None:
        last = reading.number
        tally.findings.setdefault(last, f"the process died (exit code {process.exitcode})")
    if last < numbers.start:
        raise RuntimeError(f"{target.name}: the process ended before its first input (exit code {process.exitcode})")
    return last


def _excess(process: BaseProcess, reading: Begun) -> str:
    """What the process takes too much of, for the input that it is reading."""
    try:
        watched = psutil.Process(process.pid)
        times, memory = watched.cpu_times(), watched.memory_info().rss
    except psutil.NoSuchProcess:
        return ""
    if times.user + times.system - reading.at_s > MOST_S:
        return f"hang: more than {MOST_S:.0f} s"
    return f"memory: {memory / 1e9:.1f} GB" if memory > MOST_BYTES else ""
