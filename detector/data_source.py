"""Where annotated data lies on disk, and in which format."""

import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class DataFormat(StrEnum):
    """Layout of an annotated dataset on disk."""

    COCO = "coco"  # one JSON file and a folder of images
    VOC = "voc"  # a folder of XML files, and a folder of images
    CSV = "csv"  # a table with a row for each box, and a folder of images
    YOLO = "yolo"  # a folder of images, one of text files, and a file with the names of classes


class Exif(StrEnum):
    """The frame that boxes were drawn in, where EXIF turns a picture."""

    UPRIGHT = "upright"  # as viewers show it
    STORED = "stored"  # as the pixels lie in the file


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSource:
    """One annotated split on disk.

    COCO: `annotations` is the JSON file, `images` the folder that its `file_name`s are relative to.
    CSV: `annotations` is the table, `images` the folder that its paths are relative to.
    VOC: `annotations` is the folder of XML files, `images` the folder of images, `split` the file that lists
    the stems (ImageSets/Main/train.txt), or None for every XML file.
    YOLO: `annotations` is the file with the names of the classes (data.yaml, classes.txt), `images` the folder of
    images, `split` the file that lists them, or None for all; labels lie in `labels` in place of `images`, or beside.
    """

    format: DataFormat
    images: Path
    annotations: Path
    split: Path | None = None
    follow_links: bool = False  # of images, to wherever they lead
    exif: Exif = Exif.UPRIGHT
    left_out: tuple[str, ...] = ()  # images, by their names relative to the folder

    @property
    def root(self) -> Path:
        """The folder that holds all of the dataset: links to images may lead anywhere below."""
        if self.follow_links:
            return Path(self.images.absolute().anchor)
        return Path(os.path.commonpath([self.images.absolute(), self.annotations.absolute()]))
