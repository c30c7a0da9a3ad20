"""Checkpoints of a trial: written whole or not at all, verified when read, never pickled.

directory/checkpoint-00000480/   state.safetensors   MANIFEST.json (images, step, hash)
"""

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

KEPT = 2
STATE, MANIFEST = "state.safetensors", "MANIFEST.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Everything that a trial needs to go on: its arrays by name, and how far it has come."""

    arrays: dict[str, np.ndarray]
    images: int
    step: int


def save_checkpoint(directory: Path, checkpoint: Checkpoint) -> Path:
    """Write the checkpoint, then drop all but the newest two; returns its folder."""
    directory.mkdir(parents=True, exist_ok=True)
    final = directory / f"checkpoint-{checkpoint.images:08d}"
    temporary = directory / f".{final.name}.{os.getpid()}"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    save_file(checkpoint.arrays, temporary / STATE)
    manifest = {"images": checkpoint.images, "step": checkpoint.step, "sha256": _digest(temporary / STATE)}
    (temporary / MANIFEST).write_text(json.dumps(manifest))
    for path in (temporary / STATE, temporary / MANIFEST, temporary):
        _sync(path)
    shutil.rmtree(final, ignore_errors=True)
    os.replace(temporary, final)
    _sync(directory)
    for old in _folders(directory)[KEPT:]:
        shutil.rmtree(old, ignore_errors=True)
    return final


def newest_checkpoint(directory: Path) -> Checkpoint | None:
    """The newest valid checkpoint; torn or altered ones are passed over."""
    for folder in _folders(directory):
        if (checkpoint := _read(folder)) is not None:
            return checkpoint
    return None


def drop_checkpoints(directory: Path) -> None:
    """Remove all checkpoints of a trial that is over."""
    for folder in _folders(directory):
        shutil.rmtree(folder, ignore_errors=True)


def _folders(directory: Path) -> list[Path]:
    """Newest first."""
    return sorted(directory.glob("checkpoint-*"), reverse=True)


def _read(folder: Path) -> Checkpoint | None:
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        if manifest["sha256"] != _digest(folder / STATE):
            return None
        return Checkpoint(arrays=load_file(folder / STATE), images=manifest["images"], step=manifest["step"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
