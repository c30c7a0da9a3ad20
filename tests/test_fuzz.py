"""Every reader stands a share of `make fuzz`; and the run itself sees what it is there to see."""

import os
import re
import time
from pathlib import Path
from random import Random

import pytest

from detector.config import ConfigError
from tests.support.fuzz import run
from tests.support.fuzz.mutations import MOST_BYTES, mutated
from tests.support.fuzz.report import report
from tests.support.fuzz.run import Tally, fuzz, input_of
from tests.support.fuzz.target import Target
from tests.support.fuzz.targets import TARGETS

INPUTS = 164  # of each whole share: 2,000 in all


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_no_hostile_input_ends_in_a_traceback_a_hang_or_a_full_memory(target: Target) -> None:
    numbers = range(round(INPUTS * target.share))
    tally = fuzz(target, 0, numbers)
    assert tally.findings == {}, report(target, tally)
    assert tally.read + tally.refused == len(numbers)
    assert tally.read
    assert tally.refused or not target.refusals


@pytest.mark.parametrize("target", [each for each in TARGETS if each.name != "weights"], ids=lambda each: each.name)
def test_the_same_seed_makes_the_same_inputs_wherever_it_runs(target: Target, tmp_path: Path) -> None:
    made = []
    for name in ("here", "elsewhere"):
        (tmp_path / name).mkdir()
        seeds = target.seeds(tmp_path / name)
        made.append([input_of(target, seeds, 5, number) for number in range(40)])
    assert made[0] == made[1]
    assert len(set(made[0])) > 30


def test_repetitions_of_repetitions_stay_small() -> None:
    """Number 8,370 of seed 0 once had 5 GB."""
    whole = [b'{"80": {"ap": 0.1}, "160": {"ap": 0.2, "ap/cat": 0.1}}']
    assert max(len(mutated(whole, Random(f"0/evaluations/{number}"))) for number in range(8_300, 8_400)) <= MOST_BYTES


def seeds(_: Path) -> list[bytes]:
    return [b"valid"]


def refuse_all(content: bytes, _: Path) -> None:
    raise ConfigError("valid or not")


def stumble(content: bytes, _: Path) -> None:
    if content != b"valid":
        raise KeyError("no message for a user")


def hang(content: bytes, _: Path) -> None:
    while content != b"valid":
        time.process_time()


def die(content: bytes, _: Path) -> None:
    if content != b"valid":
        os._exit(7)


def swell(content: bytes, _: Path) -> None:
    held = bytearray(1 if content == b"valid" else 400 * 2**20)
    held[:] = b"x" * len(held)


@pytest.mark.parametrize(
    ("read", "finding"),
    [
        (refuse_all, "a valid input was refused"),
        (stumble, "KeyError"),
        (hang, "hang: more than 0 s"),
        (die, r"the process died \(exit code 7\)"),
        (swell, "memory: 0.[0-9] GB"),
    ],
)
def test_a_run_finds_what_it_is_there_to_find(read: object, finding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "MOST_S", 0.3 if read is hang else 60.0)
    monkeypatch.setattr(run, "MOST_BYTES", 400 * 2**20)
    target = Target(name="planted", seeds=seeds, read=read)
    tally = fuzz(target, 0, range(3))
    assert len(tally.findings) == (1 if read is refuse_all else 2)
    assert all(re.search(finding, text) for text in tally.findings.values())
    assert " findings; " in report(target, tally)


def test_a_report_groups_findings_by_their_place_and_says_how_to_read_one_again() -> None:
    tally = Tally(read=1, findings={4: "hang: more than 10 s", 9: "hang: more than 10 s"})
    assert "2 × hang: more than 10 s (--only planted:4)" in report(
        Target(name="planted", seeds=seeds, read=hang), tally
    )
