"""Files that are there whole or not at all: written beside their place, and renamed once the disk has them."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path


def write_whole(path: Path, content: str | Callable[[Path], object]) -> None:
    """Put the text there, or the file that `content` writes at the path which it is given.

    Who reads meanwhile sees what was there before. A file that is replaced keeps its mode, a new one has that of the
    umask. After a failure nothing is left behind.

    Raises:
        OSError: it cannot be written; `content` may raise others.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        if isinstance(content, str):
            temporary.write_text(content, encoding="utf-8")
        else:
            write_unprivate(temporary, content)
        if path.exists():
            temporary.chmod(path.stat().st_mode)
        sync(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_unprivate(path: Path, content: Callable[[Path], object]) -> None:
    """Have `content` write a new file, with the mode that the umask leaves: some libraries let nobody else read theirs.

    Raises:
        OSError: there is such a file, or it cannot be written; `content` may raise others.
    """
    path.touch(exist_ok=False)  # asks the system for the mode: to read the umask is to change it, for all threads
    mode = path.stat().st_mode
    content(path)
    path.chmod(mode)


def sync(path: Path) -> None:
    """Wait until the disk has what the file holds, or which names the folder does."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
