"""The study file that `launch --data` writes, with every default shown."""

import os
import re
from dataclasses import replace
from pathlib import Path

from detector.config import ConfigError, require
from detector.data.layout import find_sources
from search.study.specification import Specification
from search.study.study_file import Options, default_study_text, folder_specification

LONG_SIDE_CPU_PX = 256  # of an automatic canvas where there is no accelerator: a quarter of the work
ACCELERATORS = (Path("/dev/nvidiactl"), Path("/dev/kfd"))  # NVIDIA's and AMD's, known without loading TensorFlow


def write_study_file(file: Path, data: Path, options: Options) -> bool:
    """Write a study file on the dataset folder, and say whether it is new: the same text may lie there already.

    The dataset is named relative to the file, so that both can move.

    Raises:
        ConfigError: the folder holds no dataset, an option breaks a rule, another file is in the way, or none can be
            written.
    """
    find_sources(data)  # before anything is written
    folder = Path(os.path.relpath(data.resolve(), file.resolve().parent))
    named = replace(options, name=options.name or study_name(data))
    text = default_study_text(folder, named, long_side_px=_long_side_px())
    try:
        with file.open("x", encoding="utf-8") as new:
            new.write(text)
    except FileExistsError:
        _require_same(file, text)
        return False
    except OSError as error:
        raise ConfigError(f"{file}: cannot be written ({error.strerror}); launch from a folder of your own") from None
    return True


def dataset_specification(data: Path) -> Specification:
    """The study that `launch --data` would begin on the folder; nothing is written, and the folder is not looked at.

    Raises:
        ConfigError: the folder cannot be named in a study file.
    """
    return folder_specification(data.resolve(), study_name(data), long_side_px=_long_side_px()).absolute(Path.cwd())


def _long_side_px() -> int | None:
    return None if any(map(Path.exists, ACCELERATORS)) else LONG_SIDE_CPU_PX


def study_name(data: Path) -> str:
    """A name for a study on this folder: the folder's own, as far as study names allow."""
    return re.sub(r"[^A-Za-z0-9._ -]+|^[._ -]+", "-", data.resolve().name).strip("-")[:100] or "study"


def _require_same(file: Path, text: str) -> None:
    try:
        same = file.read_text(encoding="utf-8") == text
    except (OSError, UnicodeDecodeError):
        same = False
    require(
        same,
        f"{file} is there and is not what these options would write; go on with it by `frcnn-search launch {file}`, "
        f"or name another file: `frcnn-search launch other.yaml --data …`",
    )
