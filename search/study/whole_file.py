"""A file that is replaced as a whole, so that nobody ever reads half of it."""

import os
import tempfile
from pathlib import Path

from search.study.document import StudyFileError


def replace_file(path: Path, text: str) -> None:
    """Write the text there, in place of what there was; the mode of that stays.

    Raises:
        StudyFileError: the folder cannot be written.
    """
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            # mkstemp's 0600 would hide a new file from colleagues
            temporary.chmod(path.stat().st_mode if path.exists() else 0o644)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise StudyFileError(f"{path}: cannot be written ({error.strerror or error})") from None
