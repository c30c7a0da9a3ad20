"""Data as a command line names it: a folder, a file of annotations, or a file with a section `data`."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pydantic import ConfigDict, TypeAdapter

from detector.data.formats.yolo.layout import yolo_of_file
from search.study.data_section import Data
from search.study.document import read_document
from search.study.fields import STRICT
from search.study.named_paths import require_data
from search.study.problems import validate


@dataclass(frozen=True, slots=True, kw_only=True)
class _Named:
    """What counts of a study file, or of an exported configuration."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    data: Data


def named_data(path: Path) -> Data:
    """The data that the path names. Neither folder nor annotations are read.

    Raises:
        StudyFileError: it is a YAML file, and neither a data.yaml of YOLO nor one with a section `data`, whose paths
            are there.
    """
    if not path.is_file() or path.suffix.casefold() not in {".yaml", ".yml"} or yolo_of_file(path):
        return Data(folder=path)
    document = {key: value for key, value in read_document(path).items() if key == "data"}
    data = validate(TypeAdapter(_Named), _Named, document, str(path)).data.absolute(path.resolve().parent)
    require_data(path, data)
    return data
