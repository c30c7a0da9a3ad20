"""Detectron2's own detectors, trained on COCO: fetched once a host, into Keras's cache beside its ImageNet weights."""

import hashlib
from collections.abc import Mapping
from contextlib import closing
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock

from detector.config import BackboneName, ConfigError, require
from detector.setup import Progress, unheard
from detector.weight_files.download.keras_download import models_folder
from detector.weight_files.download.web_answer import answering
from detector.weight_files.found_weights import FoundWeights
from detector.weight_files.opening import open_weights
from detector.whole_file import write_whole

HOST = "https://dl.fbaipublicfiles.com/detectron2/COCO-Detection"
#: Faster R-CNN with an FPN, trained for 270,000 iterations.
PUBLISHED: Mapping[BackboneName, str] = {
    BackboneName.RESNET50: "faster_rcnn_R_50_FPN_3x/137849458/model_final_280758.pkl",
    BackboneName.RESNET101: "faster_rcnn_R_101_FPN_3x/137851257/model_final_f6e8b1.pkl",
}
PIECE_BYTES = 1 << 20
WAYS_OUT = "give a file of weights, or imagenet, or none"


def coco_file(backbone: BackboneName, on_progress: Progress = unheard) -> Path:
    """The file of the detector with that backbone on this host, fetched where it is not there, or is damaged.

    Raises:
        ConfigError: there is none of that backbone, or it could not be fetched.
    """
    path, address = cached_file(backbone), f"{HOST}/{PUBLISHED[backbone]}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            if not (is_whole(path) or _is_adopted(path)):
                _fetch(address, path, on_progress)
    except ConfigError:  # a ValueError, too
        raise
    except (OSError, HTTPException, ValueError) as error:
        raise ConfigError(
            f"the COCO weights could not be fetched ({_reason(error)}); {WAYS_OUT}; or put {address} there by hand: "
            f"{path}"
        ) from error
    return path


def _reason(error: Exception) -> str:
    """What went wrong, without the brackets of urllib and the number of the system."""
    inner = getattr(error, "reason", error)
    return str(getattr(inner, "strerror", None) or inner)


def coco_weights(backbone: BackboneName, on_progress: Progress = unheard) -> FoundWeights:
    """What that file holds.

    Raises:
        ConfigError: as `coco_file`.
    """
    return open_weights(coco_file(backbone, on_progress))


def cached_file(backbone: BackboneName) -> Path:
    """Where the file lies on this host once it is fetched.

    Raises:
        ConfigError: there is none of that backbone.
    """
    if backbone not in PUBLISHED:
        raise ConfigError(f"there is no detector of a {backbone} that was trained on COCO; {WAYS_OUT}")
    folder, _, name = PUBLISHED[backbone].split("/")
    return models_folder() / f"{folder}_{name}"


def is_whole(path: Path) -> bool:
    """Whether the file is there as it was fetched."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == _digest_file(path).read_text().strip()
    except (OSError, UnicodeDecodeError):
        return False


def _is_adopted(path: Path) -> bool:
    """Take a file that somebody put there, which has no digest yet; whether it was one.

    Raises:
        ConfigError: it is no detector.
    """
    if not path.is_file() or _digest_file(path).exists():
        return False
    _require_detector(path)
    with path.open("rb") as file:
        write_whole(_digest_file(path), hashlib.file_digest(file, "sha256").hexdigest() + "\n")
    return True


def _digest_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _fetch(address: str, path: Path, on_progress: Progress) -> None:
    """Put there what lies at the address, with its digest beside it."""
    with closing(answering(address)) as answer:
        size = int(answer.headers.get("Content-Length") or 0)
        digest = hashlib.sha256()

        def write(temporary: Path) -> None:
            with temporary.open("wb") as file:
                _copy(answer, file, digest, size, on_progress)
            _require_detector(temporary)

        write_whole(path, write)
    write_whole(_digest_file(path), digest.hexdigest() + "\n")


def _require_detector(path: Path) -> None:
    """Raise `ConfigError` where the file is no whole detector: a proxy may answer with a page of its own."""
    try:
        found = open_weights(path)
    except ConfigError as error:
        raise ConfigError(f"what came as COCO weights holds none; {WAYS_OUT}") from error
    require(found.has_heads and found.classes is not None, f"what came as COCO weights is no detector; {WAYS_OUT}")


def _copy(answer: HTTPResponse, file: BinaryIO, digest: "hashlib._Hash", size: int, on_progress: Progress) -> None:
    done = 0
    while piece := answer.read(PIECE_BYTES):
        file.write(piece)
        digest.update(piece)
        done += len(piece)
        on_progress("fetching the COCO weights", done, max(size, done))
    if size and done != size:
        raise OSError(f"only {done} of {size} bytes came")
