"""The `data` section: which images and annotations a study trains and evaluates on."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from detector.config import ConfigError, require
from detector.data.formats.annotation import OF_ONE_IMAGE, BadImages
from detector.data.layout import find_sources
from detector.data_source import DataFormat, DataSource, Exif
from search.study.fields import SafePath, absolute_path, is_text

if TYPE_CHECKING:
    from detector.data.dataset import Dataset

_BY_SUFFIX = {".json": DataFormat.COCO, ".csv": DataFormat.CSV} | dict.fromkeys(
    (".yaml", ".yml", ".txt", ".names", ".labels"), DataFormat.YOLO
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """One annotated split, named path by path."""

    images: SafePath
    annotations: SafePath  # the file; VOC: the folder of XML files; YOLO: the file that names the classes
    split: SafePath | None = None  # VOC and YOLO: the file that lists the images
    format: DataFormat | None = None  # None: by the suffix of the annotations

    @property
    def paths(self) -> tuple[Path, ...]:
        return tuple(path for path in (self.images, self.annotations, self.split) if path)

    def changed(self, change: Callable[[Path], Path]) -> "Split":
        """The same with every path changed."""
        split = self.split and change(self.split)
        return replace(self, images=change(self.images), annotations=change(self.annotations), split=split)

    def source(self) -> DataSource:
        """The same for the detector, with the format settled."""
        guessed = _BY_SUFFIX.get(self.annotations.suffix.lower(), DataFormat.VOC)
        return DataSource(
            format=self.format or guessed, images=self.images, annotations=self.annotations, split=self.split
        )


class OnBadImage(StrEnum):
    """What becomes of images that are missing, corrupt, too large, or of another size than the annotations state."""

    REFUSE = "refuse"
    SKIP = "skip"  # `launch` decodes every image, and keeps with the study which ones are left out


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Images that are left out of each split, by their names relative to its folder of images."""

    train: tuple[str, ...] = ()
    validation: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """Either a folder in a usual layout, or the splits one by one."""

    folder: SafePath | None = None
    train: Split | None = None
    validation: Split | None = None
    validation_share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    follow_links: bool = False  # of images, out of the dataset's folder
    exif: Exif = Exif.UPRIGHT
    on_bad_image: OnBadImage = OnBadImage.REFUSE
    most_bad_share: Annotated[float, Field(gt=0, le=1)] = 0.1  # of a split's images, where they are skipped
    left_out: LeftOut | None = None

    def __post_init__(self) -> None:
        both, neither = self.folder and self.train, not (self.folder or self.train)
        require(not both, "folder and train exclude each other; give a folder, or the splits one by one")
        require(not (self.folder and self.validation), "validation needs train; a folder brings its own")
        require(not neither, "give either folder, or train with images and annotations")

    def bad_are_few(self, bad: int, of: int) -> bool:
        """Whether so many of a split's images may be skipped; one always may."""
        return bad <= max(1, self.most_bad_share * of)

    def without(self, bad: BadImages) -> "Data":
        """The same with these images left out, where the study skips such.

        Raises:
            ConfigError: it does not, or more is to blame than single images.
        """
        if not all(defect.fault in OF_ONE_IMAGE and is_text(defect.file) for defect in bad.defects):
            raise bad
        if self.on_bad_image is OnBadImage.REFUSE:
            raise ConfigError(
                f"{bad}\nTo do without them, set `on_bad_image: skip` in the section `data` of a study file"
            )
        names = tuple(defect.file for defect in bad.defects)
        so_far = self.left_out or LeftOut()
        if bad.annotations == self.sources()[0].annotations:
            return replace(self, left_out=replace(so_far, train=(*so_far.train, *names)))
        return replace(self, left_out=replace(so_far, validation=(*so_far.validation, *names)))

    def elsewhere(self, folder: Path) -> "Data":
        """The same settings on other data, of which nothing is left out yet."""
        return replace(self, folder=folder, train=None, validation=None, left_out=None)

    def moved(self, root: Path) -> "Data":
        """The same data below another root, as another machine may have it.

        The root that it replaces is the folder, or the nearest folder that holds all that the splits name.
        """
        splits = [split for split in (self.train, self.validation) if split]
        old = self.folder or Path(os.path.commonpath([path for split in splits for path in split.paths]))
        return self._changed(lambda path: root / path.relative_to(old))

    def absolute(self, folder: Path) -> "Data":
        """The same with relative paths taken from the folder."""
        return self._changed(lambda path: absolute_path(path, folder))

    def _changed(self, change: Callable[[Path], Path]) -> "Data":
        return replace(
            self,
            folder=self.folder and change(self.folder),
            train=self.train and self.train.changed(change),
            validation=self.validation and self.validation.changed(change),
        )

    def sources(self) -> tuple[DataSource, DataSource | None]:
        """Training and validation data as the detector reads them; None where they are to be split off.

        Raises:
            DataError: no layout, or several, fit the folder.
        """
        if self.train is None:
            train, validation = find_sources(self.folder or Path())
        else:
            train, validation = self.train.source(), self.validation.source() if self.validation else None
        left_out = self.left_out or LeftOut()
        train = self._as_set(train, left_out.train)
        return train, self._as_set(validation, left_out.validation) if validation else None

    def _as_set(self, source: DataSource, left_out: tuple[str, ...]) -> DataSource:
        """The source with what is set for both splits."""
        return replace(source, follow_links=self.follow_links, exif=self.exif, left_out=left_out)

    def load(self, *, seed: int) -> "tuple[Dataset, Dataset]":
        """Training and validation images, every file checked; `seed` is of the split, where one has to be made.

        Raises:
            DataError: they are not there, or cannot be used.
        """
        from detector.data.pair import load_pair  # loads NumPy and what reads COCO

        return load_pair(*self.sources(), share=self.validation_share, seed=seed)
