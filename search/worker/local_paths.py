"""Where this machine has what a study needs, if not where the study was begun. Variables of its environment may say so:

FRCNN_DATA_ROOT   the folder of the study's data
FRCNN_CACHE       a folder for decoded images and calibrated weights; best on a disk of this machine
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from detector.config import require
from search.study.data_section import Data

DATA_ROOT, CACHE = "FRCNN_DATA_ROOT", "FRCNN_CACHE"


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalPaths:
    """Where this machine has its own data and cache; None where it has none of its own."""

    data_root: Path | None = None
    cache: Path | None = None

    @classmethod
    def here(
        cls, *, data_root: Path | None = None, cache: Path | None = None, environment: Mapping[str, str] = os.environ
    ) -> "LocalPaths":
        """The paths that are given, else those of the environment, as absolute paths.

        Raises:
            ConfigError: there is no such folder of data.
        """
        data_root = data_root or _named(environment, DATA_ROOT)
        cache = cache or _named(environment, CACHE)
        require(
            data_root is None or data_root.is_dir(),
            f"--data-root, or the variable {DATA_ROOT}, must name the folder of the study's data on this machine, but "
            f"{data_root} is no folder",
        )
        return cls(data_root=data_root and data_root.resolve(), cache=cache and cache.resolve())

    def find(self, data: Data) -> Data:
        """The same data, where it lies on this machine."""
        return data if self.data_root is None else data.moved(self.data_root)


def _named(environment: Mapping[str, str], variable: str) -> Path | None:
    value = environment.get(variable)
    return Path(os.path.expanduser(value)) if value else None
