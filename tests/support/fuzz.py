"""Hostile files and messages, made of valid ones, against every reader that a stranger's bytes can reach.

    python -m tests.support.fuzz [--inputs 100000] [--seed 0] [--only NAME[:NUMBER]]

Each reader (tests/support/fuzz_targets.py) gets its share of the inputs, in a process of its own. It must return, or
refuse with the error that becomes a message and exit code 2. A finding is any other exception, the death of the
process, 10 s on one input, or 2 GB of memory. The same seed makes the same inputs; `--only coco:17` reads one again.
"""

import argparse
import contextlib
import logging
import multiprocessing
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from random import Random

import psutil

from search.terminal import visible
from tests.support.fuzz_targets import TARGETS, Target
from tests.support.mutations import mutated

ROOT = Path(__file__).resolve().parents[2]
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


def report(target: Target, tally: Tally) -> str:
    """One line, and below it the findings by their last line, each with one input and its traceback."""
    head = (
        f"{target.name:12} {tally.read:6} read, {tally.refused:6} refused, {len(tally.findings):4} findings; "
        f"slowest {tally.slowest_s:.2f} s, peak {tally.peak_bytes / 1e6:.0f} MB"
    )
    kinds = Counter(_kind(finding) for finding in tally.findings.values())
    lines = [head]
    for kind, count in kinds.most_common():
        number, example = next(item for item in tally.findings.items() if _kind(item[1]) == kind)
        lines += [f"  {count} × {kind} (--only {target.name}:{number})", *example.splitlines()[-7:]]
    return "\n".join(lines)


def _kind(finding: str) -> str:
    """The place and the type of an exception, or the finding itself."""
    places = [line.strip() for line in finding.splitlines() if line.lstrip().startswith("File ")]
    ours = [place for place in places if str(ROOT) in place and "/tests/" not in place and ".venv" not in place]
    words = (finding.strip().splitlines() or [""])[-1].split(":")[0]
    return f"{words} at {(ours or places)[-1].replace(str(ROOT), '')}" if places else finding


def main() -> int:
    """Fuzz every reader with its share; returns 0 where nothing was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", metavar="NAME[:NUMBER]")
    options = parser.parse_args()
    name, _, number = options.only.partition(":")
    targets = [target for target in TARGETS if name in ("", target.name)]
    each = options.inputs / sum(target.share for target in targets)
    began_s = time.monotonic()
    tallies = []
    for target in targets:
        numbers = range(int(number), int(number) + 1) if number else range(round(each * target.share))
        tallies.append(fuzz(target, options.seed, numbers))
        sys.stdout.write(visible(report(target, tallies[-1])) + "\n")
        sys.stdout.flush()
    found = sum(len(tally.findings) for tally in tallies)
    total = sum(tally.read + tally.refused + len(tally.findings) for tally in tallies)
    took_s = time.monotonic() - began_s
    sys.stdout.write(f"{total} inputs (seed {options.seed}) in {took_s:.0f} s: {found} findings.\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
