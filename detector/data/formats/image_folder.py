"""Where the images lie that a file of annotations names."""

import contextlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from detector.data.formats.folders import Role, folders_of, role_of
from detector.data.formats.image_list import EXTENSIONS


def image_folder_near(names: Sequence[str], annotations: Path) -> Path:
    """The folder that holds some of the images: beside the annotations, below them, or beside their folder."""
    for folder in (annotations.parent, annotations.parent.parent):
        place = image_folder(names, annotations, folder, folders_of(folder, levels=2))
        if any(held(place, name) for held in _WAYS for name in names):
            return place
    return annotations.parent  # reading will say which image it misses there


def image_folder(names: Sequence[str], annotations: Path, folder: Path, folders: Sequence[Path]) -> Path:
    """The one of the folders that holds some of the images that a file names, before all one of the same split."""
    role = role_of(annotations, folder)
    ranked = sorted(folders, key=lambda place: _rank(place, role, annotations, folder))
    for held in _WAYS:
        for place in ranked:
            if any(held(place, name) for name in names):
                return place
    return ranked[0]  # reading will say which image it misses there


def _rank(place: Path, role: Role | None, annotations: Path, folder: Path) -> tuple[bool, bool, bool, int]:
    """Smaller is likelier: of the same split, called images, beside the file, high up."""
    own = role_of(place, folder) if place != folder else None
    plain = place.name.casefold() in {"images", "jpegimages", "imgs", "img", "data"}
    return own is not role or role is None, not plain, place != annotations.parent, len(place.parts)


def _holds(place: Path, name: str) -> bool:
    path = PurePosixPath(name)
    with contextlib.suppress(OSError):  # a name that no file system takes
        return not path.is_absolute() and ".." not in path.parts and (place / name).is_file()
    return False


def _holds_base(place: Path, name: str) -> bool:
    return _holds(place, PurePosixPath(name.replace("\\", "/")).name)


def _holds_stem(place: Path, name: str) -> bool:
    base = PurePosixPath(name.replace("\\", "/")).name
    return any(_holds(place, f"{base}{suffix}") for suffix in EXTENSIONS)


_WAYS = (_holds, _holds_base, _holds_stem)  # the strictest first
