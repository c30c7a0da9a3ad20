"""The images of a split: all that a folder holds, or those that a list names."""

import os
from pathlib import Path, PurePosixPath, PureWindowsPath

from detector.data.formats.annotation import DataError

EXTENSIONS = (
    ".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".pgm", ".jfif", ".jpe", ".mpo",
)  # fmt: skip


def is_image(name: str) -> bool:
    """Whether the name is that of an image, and not hidden."""
    return name.casefold().endswith(EXTENSIONS) and not name.startswith(".")


def images_of(folder: Path, split: Path | None) -> list[str]:
    """The names of the images, relative to the folder and in order.

    Raises:
        DataError: there is no such folder or list, or no image in it.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: the folder of images is missing; check the path")
    names = _all_images(folder) if split is None else _listed(split, folder)
    if not names:
        raise DataError(f"{split or folder}: holds no image ({', '.join(EXTENSIONS[:6])} …); check the path")
    return names


def _all_images(folder: Path) -> list[str]:
    found = []
    for place, below, files in os.walk(folder):
        below[:] = sorted(name for name in below if not name.startswith("."))
        found += [Path(place, name).relative_to(folder).as_posix() for name in sorted(files) if is_image(name)]
    return found


def _listed(split: Path, folder: Path) -> list[str]:
    """The images that the lines name, each once; paths are relative to the list's folder, or of another machine."""
    try:
        lines = [line.strip() for line in split.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, ValueError) as error:
        raise DataError(f"{split}: the list of images can't be read: {error}; save it as UTF-8") from error
    return list(dict.fromkeys(_relative(line, split.parent, folder) for line in lines if line))


def _relative(line: str, base: Path, folder: Path) -> str:
    """The name relative to the folder; of a path of another machine the longest end that is there."""
    path = Path(os.path.normpath(base / line.replace("\\", "/")))
    if path.is_relative_to(folder) and path.is_file():
        return path.relative_to(folder).as_posix()
    parts = PureWindowsPath(line).parts[1:] or (line,)
    ends = (PurePosixPath(*parts[start:]).as_posix() for start in range(len(parts)))
    return next((end for end in ends if (folder / end).is_file()), parts[-1])
