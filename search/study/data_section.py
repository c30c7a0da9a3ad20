"""The `data` section: which images and annotations a study trains and evaluates on."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from pydantic import Field

from detector.config import DataFormat, DataSource, require
from search.study.fields import SafePath, absolute_path


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """One annotated split, named path by path."""

    images: SafePath
    annotations: SafePath  # COCO: the JSON file; VOC: the folder of XML files
    split: SafePath | None = None  # VOC: the file that lists the stems
    format: DataFormat | None = None  # None: COCO if the annotations are a .json file

    def absolute(self, folder: Path) -> "Split":
        """The same with relative paths taken from the folder."""
        return replace(
            self,
            images=absolute_path(self.images, folder),
            annotations=absolute_path(self.annotations, folder),
            split=self.split and absolute_path(self.split, folder),
        )

    def moved(self, old: Path, new: Path) -> "Split":
        """The same with every path below `old` taken from `new`."""
        return replace(
            self,
            images=new / self.images.relative_to(old),
            annotations=new / self.annotations.relative_to(old),
            split=self.split and new / self.split.relative_to(old),
        )

    def source(self) -> DataSource:
        """The same for the detector, with the format settled."""
        guessed = DataFormat.COCO if self.annotations.suffix.lower() == ".json" else DataFormat.VOC
        return DataSource(
            format=self.format or guessed, images=self.images, annotations=self.annotations, split=self.split
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """Either a folder in a usual layout, or the splits one by one."""

    folder: SafePath | None = None
    train: Split | None = None
    validation: Split | None = None
    validation_share: Annotated[float, Field(gt=0, lt=1)] = 0.2

    def __post_init__(self) -> None:
        both, neither = self.folder and self.train, not (self.folder or self.train)
        require(not both, "folder and train exclude each other; give a folder, or the splits one by one")
        require(not (self.folder and self.validation), "validation needs train; a folder brings its own")
        require(not neither, "give either folder, or train with images and annotations")

    def moved(self, root: Path) -> "Data":
        """The same data below another root, as another machine may have it.

        The root that it replaces is the folder, or the nearest folder that holds all that the splits name.
        """
        if self.folder:
            return replace(self, folder=root)
        splits = [split for split in (self.train, self.validation) if split]
        places = [place for split in splits for place in (split.images, split.annotations, split.split) if place]
        old = Path(os.path.commonpath(places))
        return replace(
            self,
            train=self.train and self.train.moved(old, root),
            validation=self.validation and self.validation.moved(old, root),
        )

    def absolute(self, folder: Path) -> "Data":
        """The same with relative paths taken from the folder."""
        return replace(
            self,
            folder=self.folder and absolute_path(self.folder, folder),
            train=self.train and self.train.absolute(folder),
            validation=self.validation and self.validation.absolute(folder),
        )
