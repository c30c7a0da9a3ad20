"""What TensorFlow's own libraries print about processors and drivers, which means nothing to whoever evaluates."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from detector.config import ConfigError


@contextmanager
def hidden_messages() -> Iterator[None]:
    """Keeps standard error, of C++ code too, until the block has gone well or met a user's mistake; else shows it."""
    sys.stderr.flush()
    shown = os.dup(2)
    try:
        with tempfile.TemporaryFile() as kept:
            os.dup2(kept.fileno(), 2)
            try:
                yield
            except ConfigError:
                raise
            except BaseException:
                kept.seek(0)
                os.write(shown, kept.read())
                raise
            finally:
                sys.stderr.flush()
                os.dup2(shown, 2)
    finally:
        os.close(shown)
