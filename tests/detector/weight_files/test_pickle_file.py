"""Pickles of arrays are read, and everything else in one is refused before it does anything."""

import contextlib
import os
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies

from detector.config import ConfigError
from detector.weight_files.pickle_file import read_pickle

ARRAYS = {
    "float32": np.arange(6, dtype=np.float32).reshape(2, 3),
    "big endian": np.arange(3, dtype=">f8"),
    "columns first": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "empty": np.zeros((0, 4), np.float16),
    "one": np.float32(2.5),
    "count": np.int64(7),
}


def pickled(folder: Path, value: Any, protocol: int = 4) -> Path:
    path = folder / "w.pkl"
    path.write_bytes(pickle.dumps(value, protocol))
    return path


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_come_back_whatever_the_protocol(tmp_path: Path, protocol: int) -> None:
    found = read_pickle(pickled(tmp_path, {"model": OrderedDict(ARRAYS), "__author__": "x"}, protocol))
    assert found["__author__"] == "x"
    assert found["model"].keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found["model"][name], array)


def test_what_python_2_wrote_is_read(tmp_path: Path) -> None:
    new = pickle.dumps({"conv1_w": np.array([1.5, -200], np.float32)}, 3)
    raw = np.array([1.5, -200], np.float32).tobytes()
    old = b"\x80\x02" + new[2:].replace(b"C\x08" + raw, b"U\x08" + raw)  # bytes were texts then
    assert len(old) == len(new)
    (tmp_path / "w.pkl").write_bytes(old)
    np.testing.assert_array_equal(read_pickle(tmp_path / "w.pkl")["conv1_w"], [1.5, -200])


class Malicious:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.target}",)


def test_a_pickle_that_runs_a_command_is_refused_and_nothing_runs(tmp_path: Path) -> None:
    file = pickled(tmp_path, {"model": {"a": ARRAYS["float32"]}, "more": Malicious(tmp_path / "ran")})
    with pytest.raises(ConfigError, match=r"names (posix|nt)\.system, which is no array.*nothing in it was run"):
        read_pickle(file)
    assert not (tmp_path / "ran").exists()


HOSTILE = {
    "a name of builtins": b"cbuiltins\neval\n(S'1'\ntR.",
    "an attribute of a module": b"\x80\x04\x8c\x05numpy\x8c\x0ftesting.rundocs\x93.",
    "an object by its class": b"(cnumpy\nndarray\no.",
    "a state for a function": b"c_codecs\nencode\n}S'__doc__'\nS'x'\nsb.",
    "attributes set on a class": b"cnumpy\ndtype\n}S'dtype'\nS'x'\nsb.",
    "an extension": b"\x80\x02\x82\x01.",
    "a persistent name": b"Pfile\n.",
    "a set": b"\x80\x04\x8f.",
    "a type of objects": b"cnumpy\ndtype\n(S'O8'\nI0\nI1\ntR.",
    "a type as long as wished": b"cnumpy\ndtype\n(S'V99999999999'\nI0\nI1\ntR.",
    "a call of a text": b"S'a'\n)R.",
    "half a number": b"I12",
    "nothing": b"",
    "bytes that are not there": b"\x80\x05\x96\xff\xff\xff\xff\xff\xff\x00\x00.",
    "a container as a key": b"(()I1\nd.",
    "a place in memory that is far away": b"r\xff\xff\xff\xffN.",
    "pairs with a container as a key": b"ccollections\nOrderedDict\n(((tI1\ntltR.",
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_pickle_is_a_users_mistake(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w.pkl").write_bytes(content)
    with pytest.raises(ConfigError, match=r"w\.pkl is not a pickle of weights"):
        read_pickle(tmp_path / "w.pkl")


def test_an_array_larger_than_its_bytes_is_refused_before_it_takes_memory(tmp_path: Path) -> None:
    honest = pickle.dumps(np.zeros((2, 3), np.float32), 2)
    place = honest.index(b"K\x02K\x03\x86")
    (tmp_path / "w.pkl").write_bytes(honest[:place] + b"J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86" + honest[place + 5 :])
    with pytest.raises(ConfigError, match=r"an array of 4611686014132420609 numbers has 24 bytes"):
        read_pickle(tmp_path / "w.pkl")


@given(strategies.integers(0, 10_000), strategies.binary(min_size=1, max_size=3))
def test_a_damaged_pickle_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, place: int, bad: bytes) -> None:
    content = pickle.dumps({"model": ARRAYS, "__author__": "x"}, 4)
    place %= len(content)
    path = tmp_path_factory.mktemp("damaged") / "w.pkl"
    path.write_bytes(content[:place] + bad + content[place + len(bad) :])
    with contextlib.suppress(ConfigError):
        read_pickle(path)
