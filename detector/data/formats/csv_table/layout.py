"""Recognises CSV tables of boxes in a folder: by their columns, and where their images lie."""

import contextlib
import csv
import itertools
from pathlib import Path

from detector.data.formats.annotation import DataError
from detector.data.formats.csv_table.columns import columns_of
from detector.data.formats.folders import Role, files_in, folders_of, only_source, refuse_without_training, role_of
from detector.data.formats.image_folder import image_folder, image_folder_near
from detector.data.formats.reader import Pair
from detector.data_source import DataFormat, DataSource

LAYOUTS = (
    "a CSV table with a row for each box (filename, class, xmin, ymin, xmax, ymax), with its images in a folder",
)
HEAD_BYTES = 1 << 16
MOST_ROWS = 20


def recognise_csv(folder: Path) -> Pair | None:
    """Training and validation data of the folder, or None; neither has been read.

    Raises:
        DataError: several files fit.
    """
    places = folders_of(folder, levels=2)
    files = [file for place in places for file in _csv_files(place) if _names(file)]
    by_role = {role: [file for file in files if role_of(file, folder) is role] for role in (*Role, None)}
    everywhere = folders_of(folder)

    def source(file: Path) -> DataSource:
        images = image_folder(_names(file), file, folder, everywhere)
        return DataSource(format=DataFormat.CSV, images=images, annotations=file)

    train = only_source(by_role[Role.TRAINING] or by_role[None], Role.TRAINING, folder, source)
    if train is None:
        refuse_without_training(files, folder, source)
        return None
    return train, only_source(by_role[Role.VALIDATION], Role.VALIDATION, folder, source)


def csv_of_file(file: Path) -> Pair | None:
    """All that the table annotates, as training data; None where it is no table of boxes."""
    names = _names(file) if file.suffix.casefold() == ".csv" else []
    if not names:
        return None
    return DataSource(format=DataFormat.CSV, images=image_folder_near(names, file), annotations=file), None


def _csv_files(place: Path) -> list[Path]:
    with contextlib.suppress(OSError):
        return list(files_in(place, ".csv"))
    return []


def _names(file: Path) -> list[str]:
    """Image names of the first rows; none where the file is no table of boxes."""
    with contextlib.suppress(OSError, DataError, csv.Error), file.open("rb") as opened:
        lines = opened.read(HEAD_BYTES).decode("utf-8-sig", "replace").splitlines()[: MOST_ROWS + 1]
        rows = list(csv.reader(lines, delimiter=max(",;\t", key=lines[0].count))) if lines else [[]]
        columns, has_header = columns_of([cell.strip() for cell in rows[0]], file)
        return [columns.image_of(row, str(file)) for row in itertools.islice(rows, int(has_header), None) if row]
    return []
