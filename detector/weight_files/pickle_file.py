"""Pickles of arrays, read without obeying them: numbers, texts, containers and NumPy arrays, and nothing that runs.

A pickle is a program. This reader calls nothing that the file names: what makes an array in it is replaced by two
classes of ours, which check sizes before they take memory. It is the reader in Python, whose tables grow with the file;
the one in C takes as much memory as a number in the file says.
"""

import io
import math
import pickle
import re
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from detector.config import ConfigError

MOST_BYTES = 4 << 30
_ROOM = "numpy.core.multiarray", "numpy._core.multiarray"
CODE = re.compile(r"[<>=|]?[fiub][1248]")  # of NumPy's numbers
MOST_AXES, MOST_SIDE = 8, 1 << 32


def read_pickle(path: Path) -> Any:
    """What was pickled.

    Raises:
        ConfigError: it is damaged, or holds something else than arrays, numbers, texts and containers of these.
    """
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise ConfigError(f"{path} has {size} bytes, more than the {MOST_BYTES} of any weights")
    try:
        return _arrays(_Reader(path.read_bytes()).load())
    except Exception as error:  # a made-up pickle makes its reader raise whatever it stumbles over
        raise ConfigError(
            f"{path} is not a pickle of weights: {error or type(error).__name__}; nothing in it was run"
        ) from error


class _Type:
    """Stands for a NumPy type while it is read."""

    def __init__(self, code: str, *_: object) -> None:
        if CODE.fullmatch(code) is None:
            raise ValueError(f"an array of type {code[:20]!r} holds no numbers")
        self._dtype = np.dtype(code)

    def __setstate__(self, state: Any) -> None:
        if state[1] not in ("=", "|", "<", ">"):
            raise ValueError("a type has no order of bytes")
        self._dtype = self._dtype.newbyteorder("=" if state[1] == "|" else state[1])

    def dtype(self) -> np.dtype[Any]:
        return self._dtype


class _Array:
    """Stands for an array while it is read."""

    values: np.ndarray | None = None

    def __setstate__(self, state: Any) -> None:
        _, shape, stated, fortran, content = state
        raw = content.encode("latin1") if isinstance(content, str) else content  # as Python 2 wrote it
        self.values = _array(raw, stated, shape, "F" if fortran else "C")


def _array(raw: bytes, stated: _Type, shape: tuple[int, ...], order: str) -> np.ndarray:
    dtype = stated.dtype()
    if len(shape) > MOST_AXES or not all(0 <= side < MOST_SIDE for side in shape):
        raise ValueError("an array has no such shape")
    count = math.prod(shape)
    if len(raw) != count * dtype.itemsize:
        raise ValueError(f"an array of {count} numbers has {len(raw)} bytes")
    return np.frombuffer(raw, dtype).reshape(shape, order="F" if order == "F" else "C")


def _reconstruct(*_: object) -> _Array:
    return _Array()


def _scalar(stated: _Type, raw: Any) -> Any:
    content = raw.encode("latin1") if isinstance(raw, str) else raw
    return _array(content, stated, (), "C")[()]


def _encode(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise ValueError(f"a text encoded as {encoding[:20]}")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    return b""


def _ordered(pairs: Any = ()) -> dict[Any, Any]:
    for key, _ in pairs:
        _require_plain(key)
    return dict(pairs)


ADMITTED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): _ordered,
    ("_codecs", "encode"): _encode,
    ("__builtin__", "bytes"): _no_bytes,  # as old protocols say that there are none
    ("numpy", "dtype"): _Type,
    ("numpy", "ndarray"): _Array,
    **{(room, "_reconstruct"): _reconstruct for room in _ROOM},
    **{(room, "scalar"): _scalar for room in _ROOM},
    **{(f"numpy.{room}.numeric", "_frombuffer"): _array for room in ("core", "_core")},
}


_InPython: Any = pickle._Unpickler  # type: ignore[attr-defined,unused-ignore]


class _Reader(_InPython):  # type: ignore[misc]
    """The reader in Python, which admits no name but those above, and as keys only what cannot nest."""

    dispatch: ClassVar[dict[int, Any]] = dict(_InPython.dispatch)

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content), encoding="latin1")
        self._size = len(content)

    def find_class(self, module: str, name: str) -> Any:
        if (found := ADMITTED.get((module, name))) is None:
            raise ValueError(f"it names {module[:40]}.{name[:40]}, which is no array, number, text or container")
        return found

    def refuse(self) -> None:
        raise ValueError("it holds what no file of weights does")

    def load_setitem(self) -> None:
        _require_plain(self.stack[-2])
        super().load_setitem()

    def load_setitems(self) -> None:
        for key in self.stack[::2]:
            _require_plain(key)
        super().load_setitems()

    def load_dict(self) -> None:
        for key in self.stack[::2]:
            _require_plain(key)
        super().load_dict()

    def load_build(self) -> None:
        """A state is for what stands for an array; attributes of a container are dropped, of anything else refused."""
        state, built = self.stack.pop(), self.stack[-1]
        if isinstance(built, _Array | _Type):
            built.__setstate__(state)
        elif not isinstance(built, dict):
            self.refuse()

    def load_bytearray8(self) -> None:
        (length,) = np.frombuffer(self.read(8), "<u8")
        if length > self._size:
            raise ValueError(f"it is said to hold {length} bytes at once")
        self.append(self.read(int(length)))

    dispatch[pickle.SETITEM[0]] = load_setitem
    dispatch[pickle.SETITEMS[0]] = load_setitems
    dispatch[pickle.DICT[0]] = load_dict
    dispatch[pickle.BUILD[0]] = load_build
    dispatch[pickle.BYTEARRAY8[0]] = load_bytearray8
    for _code in (
        pickle.INST, pickle.OBJ, pickle.NEWOBJ, pickle.NEWOBJ_EX, pickle.EXT1, pickle.EXT2, pickle.EXT4,
        pickle.PERSID, pickle.BINPERSID, pickle.ADDITEMS, pickle.FROZENSET, pickle.EMPTY_SET, pickle.NEXT_BUFFER,
    ):  # fmt: skip
        dispatch[_code[0]] = refuse


def _require_plain(key: object) -> None:
    """Raise ValueError for a container as a key: to hash a deep one ends the process."""
    if not isinstance(key, str | int | bytes):
        raise ValueError("a container has something else than a text or a number as its key")


def _arrays(value: Any, depth: int = 3) -> Any:
    """The same with arrays in place of what stood for them, as deep as files of weights go."""
    if isinstance(value, _Array):
        return value.values
    if isinstance(value, dict) and depth:
        return {key: _arrays(each, depth - 1) for key, each in value.items()}
    return value
