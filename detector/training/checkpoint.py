"""Checkpoints of a trial: written whole or not at all, verified when read, never pickled.

directory/checkpoint-00000480/   state.safetensors   MANIFEST.json (images, step, hash over all three)
"""

import hashlib
import json
import logging
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from detector.json_text import read_json
from detector.whole_file import sync, write_unprivate

KEPT = 2
STATE, MANIFEST = "state.safetensors", "MANIFEST.json"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Everything that a trial needs to go on: its arrays by name, and how far it has come."""

    arrays: dict[str, np.ndarray]
    images: int
    step: int


def save_checkpoint(directory: Path, checkpoint: Checkpoint, *, kept: int = KEPT) -> Path:
    """Write the checkpoint, then drop all but the newest `kept`; returns its folder.

    Raises:
        OSError, SafetensorError: it can't be written, on a full disk for example. Those that are there stay.
    """
    directory.mkdir(parents=True, exist_ok=True)
    final = directory / f"checkpoint-{checkpoint.images:08d}"
    temporary = directory / f".{final.name}.{os.getpid()}"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        _write(temporary, checkpoint)
        shutil.rmtree(final, ignore_errors=True)
        os.replace(temporary, final)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)  # a full disk needs the room
        raise
    sync(directory)
    for old in _folders(directory)[kept:]:
        shutil.rmtree(old, ignore_errors=True)
    return final


def _write(folder: Path, checkpoint: Checkpoint) -> None:
    write_unprivate(folder / STATE, lambda file: save_file(checkpoint.arrays, file))
    digest = _digest(folder / STATE, checkpoint.images, checkpoint.step)
    manifest = {"images": checkpoint.images, "step": checkpoint.step, "sha256": digest}
    (folder / MANIFEST).write_text(json.dumps(manifest))
    for path in (folder / STATE, folder / MANIFEST, folder):
        sync(path)


def newest_checkpoint(directory: Path) -> Checkpoint | None:
    """The newest valid checkpoint, or None; torn or altered ones are passed over, and the log says so."""
    for folder in _folders(directory):
        if (checkpoint := _read(folder)) is not None:
            return checkpoint
    return None


def images_of_newest(directory: Path) -> int:
    """Images that the newest checkpoint says by its name, valid or not; 0 where there is none."""
    numbers = [folder.name.removeprefix("checkpoint-") for folder in _folders(directory)]
    return max((int(number) for number in numbers if number.isdecimal()), default=0)


def drop_checkpoints(directory: Path) -> None:
    """Remove all checkpoints of a trial that is over."""
    for folder in _folders(directory):
        shutil.rmtree(folder, ignore_errors=True)


def _folders(directory: Path) -> list[Path]:
    """Newest first."""
    return sorted(directory.glob("checkpoint-*"), reverse=True)


def _read(folder: Path) -> Checkpoint | None:
    try:
        manifest = read_json((folder / MANIFEST).read_text())
        images, step = (_count(manifest[name]) for name in ("images", "step"))
        if manifest["sha256"] == _digest(folder / STATE, images, step):
            return Checkpoint(arrays=load_file(folder / STATE), images=images, step=step)
        reason = "its contents are not what was written"
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        reason = f"{type(error).__name__}: {error}"
    logger.warning("%s is damaged (%s), and passed over", folder, reason)
    return None


def _count(value: object) -> int:
    if not isinstance(value, int) or value < 0:
        raise ValueError(f"{str(value)[:60]!r} is no count")
    return value


def _digest(path: Path, images: int, step: int) -> str:
    """The hash of the state and of what the manifest says about it."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    digest.update(f"{images} {step}".encode())
    return digest.hexdigest()
