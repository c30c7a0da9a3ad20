"""Files that are there whole or not at all: written beside their place, and renamed once the disk has them."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path


def write_whole(path: Path, content: str | Callable[[Path], object]) -> None:
    """Put the text there, or the file that `content` writes at the path which it is given.

    Who reads meanwhile sees what was there before. A file that is replaced keeps its mode. After a failure nothing is
    left behind.

    Raises:
        OSError: it cannot be written; `content` may raise others.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        if isinstance(content, str):
            temporary.write_text(content, encoding="utf-8")
        else:
            content(temporary)
        if path.exists():
            temporary.chmod(path.stat().st_mode)
        sync(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Wait until the disk has what the file holds, or which names the folder does."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
