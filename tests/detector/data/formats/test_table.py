"""The table of formats."""

from detector.data.formats.table import READERS
from detector.data_source import DataFormat


def test_every_format_has_a_reader():
    assert set(READERS) == set(DataFormat)
