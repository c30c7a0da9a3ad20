"""The micro-batch is the fastest that fits; what was measured once on a host is not measured again."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from detector.config import ConfigError
from detector.training import micro_batch
from detector.training.micro_batch import Choices, divisors, fastest, largest_that_fits


class NoRoom(Exception):
    """What a device raises."""


@pytest.fixture(autouse=True)
def _device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(micro_batch, "ran_out_of_memory", lambda error: isinstance(error, NoRoom))


@dataclasses.dataclass
class Stopwatch:
    """Seconds an image by micro-batch; None does not fit."""

    seconds: dict[int, float | None]
    asked: list[int] = dataclasses.field(default_factory=list)

    def __call__(self, count: int) -> float:
        self.asked.append(count)
        if (seconds := self.seconds[count]) is None:
            raise NoRoom
        return seconds


@pytest.mark.parametrize(
    ("seconds", "chosen", "asked"),
    [
        pytest.param({8: 0.1, 4: 0.2, 2: 0.4, 1: 0.8}, 8, [8, 4], id="the largest is the fastest, one more is tried"),
        pytest.param({8: 0.3, 4: 0.2, 2: 0.4, 1: 0.8}, 4, [8, 4, 2], id="a smaller one is faster"),
        pytest.param({8: None, 4: None, 2: 0.4, 1: 0.8}, 2, [8, 4, 2, 1], id="two do not fit"),
        pytest.param({8: None, 4: None, 2: None, 1: 0.8}, 1, [8, 4, 2, 1], id="only the smallest fits"),
    ],
)
def test_the_fastest_that_fits_is_chosen(seconds: dict[int, float | None], chosen: int, asked: list[int]) -> None:
    watch = Stopwatch(seconds)
    assert fastest(divisors(8), watch) == chosen
    assert watch.asked == asked


def test_the_largest_that_fits_is_chosen_without_a_look_at_the_smaller_ones() -> None:
    watch = Stopwatch({8: None, 4: 0.2, 2: 0.1, 1: 0.1})
    assert largest_that_fits(divisors(8), watch) == 4
    assert watch.asked == [8, 4]


@pytest.mark.parametrize("chosen", [fastest, largest_that_fits])
def test_a_step_that_fits_in_no_size_is_the_users_to_change(chosen: Callable[..., int]) -> None:
    with pytest.raises(ConfigError, match=r"must fit into the device's memory.*detector\.canvas"):
        chosen([2, 1], Stopwatch({2: None, 1: None}))


@pytest.mark.parametrize("chosen", [fastest, largest_that_fits])
def test_another_error_is_nobodys_lack_of_memory(chosen: Callable[..., int]) -> None:
    def broken(count: int) -> float:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        chosen([2, 1], broken)


@pytest.mark.parametrize(("largest", "expected"), [(8, [8, 4, 2, 1]), (6, [6, 3, 2, 1]), (1, [1])])
def test_divisors_fall(largest: int, expected: list[int]) -> None:
    assert divisors(largest) == expected


def test_choices_are_kept_by_name_and_survive_a_torn_file(tmp_path: Path) -> None:
    choices = Choices(tmp_path / "cache" / "choices.json")
    assert choices.get("here") is None
    choices.keep("here", 4)
    choices.keep("there", 2)
    assert (Choices(tmp_path / "cache" / "choices.json").get("here"), choices.get("there")) == (4, 2)
    (tmp_path / "cache" / "choices.json").write_text('{"here": ')
    assert choices.get("here") is None
