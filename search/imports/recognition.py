"""Reads a configuration of another framework: which one, is seen by its content unless it is named."""

import re
from pathlib import Path
from typing import Protocol

from detector.config import ConfigError, require
from detector.similar_path import did_you_mean
from search.imports.formats.description import read_description
from search.imports.formats.detectron2 import read_detectron2
from search.imports.formats.mmdet import read_mmdet
from search.imports.formats.model_garden import read_model_garden
from search.imports.formats.tf_od import read_tf_od
from search.imports.framework import Framework
from search.imports.imported import Imported

MOST_BYTES = 1_000_000
MOST_GPUS = 100_000


class Reader(Protocol):
    """Makes one framework's text an `Imported`; `images` are those of the training data, for schedules in epochs."""

    def __call__(self, text: str, file: Path, *, gpus: int, images: int) -> Imported: ...


READERS: dict[Framework, Reader] = {
    Framework.DETECTRON2: read_detectron2,
    Framework.MMDET: read_mmdet,
    Framework.TORCHVISION: read_description,
    Framework.TF_OD: read_tf_od,
    Framework.TFM: read_model_garden,
}

#: The first that is found decides.
SIGNS: tuple[tuple[Framework, re.Pattern[str]], ...] = (
    (Framework.TORCHVISION, re.compile(r'\A\s*\{\s*"')),
    (Framework.TF_OD, re.compile(r"^\s*model\s*:?\s*\{", re.MULTILINE)),
    (Framework.MMDET, re.compile(r"^(_base_|model)\s*=", re.MULTILINE)),
    (Framework.DETECTRON2, re.compile(r"^(MODEL|SOLVER|INPUT|_BASE_|DATASETS)\s*:", re.MULTILINE)),
    (Framework.TFM, re.compile(r"^(task|trainer|runtime)\s*:", re.MULTILINE)),
)


def read_imported(file: Path, *, framework: Framework | None, gpus: int, images: int) -> Imported:
    """The configuration in the file.

    Raises:
        ConfigError: it can't be read, is of no framework that is known, or has a value of the wrong kind.
    """
    require(1 <= gpus <= MOST_GPUS, f"--gpus must be from 1 to {MOST_GPUS}, but is {gpus}")
    text = read_text(file)
    return READERS[framework or recognised(text, file)](text, file, gpus=gpus, images=images)


def recognised(text: str, file: Path) -> Framework:
    """The framework whose configuration the text looks like.

    Raises:
        ConfigError: none.
    """
    if re.search(r"LazyCall|LazyConfig|\bL\(", text) and file.suffix == ".py":
        raise ConfigError(
            f"{file}: a LazyConfig is a program, and no program is run here; write its values into a YAML first: "
            "LazyConfig.save(cfg, 'config.yaml')"
        )
    for framework, sign in SIGNS:
        if sign.search(text):
            return framework
    known = ", ".join(f"{each} ({each.full_name})" for each in Framework)
    raise ConfigError(f"{file}: is no configuration that is known here; name its kind by --from-format, one of {known}")


def read_text(file: Path) -> str:
    """What stands in the file.

    Raises:
        ConfigError: it can't be read, is too large, or no UTF-8.
    """
    try:
        require(file.is_file(), f"{file}: there is no such file{did_you_mean(file)}; --from names a configuration")
        with file.open("rb") as opened:
            content = opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read ({error.strerror or error})") from None
    require(len(content) <= MOST_BYTES, f"{file}: must be at most {MOST_BYTES:,} bytes; is it a configuration?")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: must be UTF-8 text, but byte {error.start} is not") from None
