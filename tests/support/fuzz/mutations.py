"""Valid files made hostile: bytes flipped and cut, numbers and texts of every unwelcome kind, structures bent.

The same random numbers give the same bytes.
"""

import contextlib
import json
import re
from collections.abc import Callable, Sequence
from copy import deepcopy
from random import Random
from typing import Any

DEEP, DIGITS = "@DEEP@", "@DIGITS@"  # become what no `json.dumps` writes
MOST_BYTES = 1 << 22  # or a few repetitions of repetitions make gigabytes
NUMBERS = (
    0, -1, 1, 2, 255, 65_535, 1_000_000, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 10**30, -(10**30), 10**400,
    0.5, 1.5, -0.0, 1e-320, 1e308, -1e308, float("nan"), float("inf"), float("-inf"),
)  # fmt: skip
TEXTS = (
    "", " ", "\0", "\ud800", "\x1b[31m", "é" * 300, "a" * 20_000, "../../etc/passwd", "/dev/zero", "C:\\x", "nan",
    "auto", "none", "1e5", "true", "[/]", "{x}", "%s%n", "\u202e", "x\ny", "x\ty", "~", "*", "🦠", "sqlite:///x",
    "env:X", "file:x", "postgresql://a:b@[::1", "32x32", "0x0", "99999999x32", "\u0661\u0662",
)  # fmt: skip
FRAGMENTS = (
    b"[" * 20_000, b"{" * 3_000, b"[" * 900 + b"]" * 900, b'{"a":' * 900 + b"1" + b"}" * 900, b"<a>" * 3_000,
    b"9" * 5_000, b"\xff\xfe", b"\xef\xbb\xbf", b"\0", b"&a [*a]", b"<<: *a", b"!!python/object:os.system", b"? ",
    b": ", b"\t", b"- - - ", b"*a", b"&a ", b"NaN", b"-Infinity", b"1e999", b"'", b'"', b"\\u0000", b"\\ud800",
    b"<!DOCTYPE a>", b"&lt;", b"&#0;", b"<![CDATA[", b"]]>", b"<!--", b"--- \n", b"...\n", b"%YAML 9.9\n", b"|\n",
    b">\n", b"{}", b"[]", b"null", b"true", b"\x80\x81", b"\r", b"\x85", b"\xe2\x80\xa8",
)  # fmt: skip
HEADERS = (0, 1, 0x7F, 0xFF, 1 << 15, 1 << 20, (1 << 31) - 1, 1 << 31, (1 << 64) - 1)


def mutated(seeds: Sequence[bytes], random: Random) -> bytes:
    """One of the seeds, changed once to four times."""
    content = random.choice(seeds)
    for _ in range(random.choice((1, 1, 1, 2, 2, 3, 4))):
        content = random.choice(_ways(content))(content, random)[:MOST_BYTES]
    return content if random.random() < 0.99 else content + random.choice(seeds)


def _ways(content: bytes) -> list[Callable[[bytes, Random], bytes]]:
    """How such a file can be changed: by bytes; text also by its words; JSON, and lines of it, mostly by its values."""
    ways = [_flip, _cut, _repeat, _insert, _overwrite]
    if _is_text(content):
        ways += [_number, _number, _word, _drop_line, _repeat_line, _fragment, _fragment]
        ways += [_bend] * 12 if content.lstrip()[:1] in (b"{", b"[") else []
    return ways


def _is_text(content: bytes) -> bool:
    return b"\0" not in content[:500] and content[:64].isascii()


def _place(content: bytes, random: Random) -> int:
    """A position, mostly near the beginning: headers are there."""
    return random.randrange(min(len(content), random.choice((64, 512, 1 << 30))) + 1)


def _flip(content: bytes, random: Random) -> bytes:
    changed = bytearray(content or b"\0")
    for _ in range(random.choice((1, 1, 2, 8))):
        changed[_place(content, random) % len(changed)] ^= 1 << random.randrange(8)
    return bytes(changed)


def _cut(content: bytes, random: Random) -> bytes:
    start = _place(content, random)
    return content[:start] + (b"" if random.random() < 0.5 else content[start + random.choice((1, 4, 40, 400)) :])


def _repeat(content: bytes, random: Random) -> bytes:
    start = _place(content, random)
    piece = content[start : start + random.choice((1, 4, 40, 400))]
    return content[:start] + piece * random.choice((2, 2, 3, 50)) + content[start:]


def _insert(content: bytes, random: Random) -> bytes:
    start = _place(content, random)
    return content[:start] + random.randbytes(random.choice((1, 2, 4, 16))) + content[start:]


def _overwrite(content: bytes, random: Random) -> bytes:
    """Numbers as binary headers hold them, of both byte orders."""
    start, size = _place(content, random), random.choice((1, 2, 4, 8))
    value = random.choice((*HEADERS, random.getrandbits(64)))
    written = (value % (1 << 8 * size)).to_bytes(size, random.choice(("little", "big")))
    return content[:start] + written + content[start + size :]


def _number(content: bytes, random: Random) -> bytes:
    found = list(re.finditer(rb"-?\d+(?:\.\d+)?(?:e-?\d+)?", content))
    if not found:
        return _fragment(content, random)
    hit = random.choice(found)
    number = b"9" * 5_000 if random.random() < 0.05 else str(random.choice(NUMBERS)).encode()
    return content[: hit.start()] + number + content[hit.end() :]


def _word(content: bytes, random: Random) -> bytes:
    found = list(re.finditer(rb"\w+", content))
    if not found:
        return _fragment(content, random)
    hit = random.choice(found)
    words = [other.group() for other in found] + [text.encode("utf-8", "surrogatepass") for text in TEXTS]
    return content[: hit.start()] + random.choice(words) + content[hit.end() :]


def _lines(content: bytes, random: Random) -> tuple[list[bytes], int]:
    lines = content.splitlines(keepends=True) or [b"\n"]
    return lines, random.randrange(len(lines))


def _drop_line(content: bytes, random: Random) -> bytes:
    lines, at = _lines(content, random)
    return b"".join(lines[:at] + lines[at + 1 :])


def _repeat_line(content: bytes, random: Random) -> bytes:
    lines, at = _lines(content, random)
    return b"".join(lines[:at] + [lines[at]] * random.choice((2, 2, 20)) + lines[random.choice((at, at + 1)) :])


def _fragment(content: bytes, random: Random) -> bytes:
    start = _place(content, random)
    return content[:start] + random.choice(FRAGMENTS) + content[start:]


def _bend(content: bytes, random: Random) -> bytes:
    """The JSON, or one line of it, with one value replaced, dropped, repeated or moved."""
    lines, at = _lines(content, random)
    for before, piece, after in ((b"", content, b""), (b"".join(lines[:at]), lines[at], b"".join(lines[at + 1 :]))):
        with contextlib.suppress(ValueError, RecursionError):
            return before + _bent(json.loads(piece), random) + b"\n" + after
    return _fragment(content, random)


def _bent(value: Any, random: Random) -> bytes:
    box = [deepcopy(value)]
    inner = list(_containers(box))
    _change(random.choice(inner), inner, random)
    text = json.dumps(box[0])
    deep = random.choice((100, 900, 20_000))
    opening, closing = random.choice((("[", "]"), ('{"a":', "}")))
    text = text.replace(f'"{DEEP}"', opening * deep + "1" + closing * deep)
    return text.replace(f'"{DIGITS}"', "9" * 5_000).encode()


def _containers(value: Any) -> "list[Any]":
    """The lists and objects in it that hold something, itself among them."""
    children = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return ([value] if children else []) + [each for child in children for each in _containers(child)]


def _change(container: Any, others: list[Any], random: Random) -> None:
    key = random.choice(list(container)) if isinstance(container, dict) else random.randrange(len(container))
    match random.randrange(8):
        case 0 if len(container) > 1 or isinstance(container, dict):
            del container[key]
        case 1:
            times = random.choice((1, 2, 500))
            container[key] = [deepcopy(container[key])] * (times if len(json.dumps(container[key])) < 5_000 else 2)
        case 2 if isinstance(container, dict):
            container[random.choice(TEXTS)] = container.pop(key)
        case 3:
            container[key] = deepcopy(random.choice(others))
        case 4:
            container[key] = random.choice(TEXTS)
        case 5:
            container[key] = random.choice((None, True, False, [], {}, [[]], {"": None}, DEEP, DIGITS))
        case _:
            container[key] = random.choice(NUMBERS)
