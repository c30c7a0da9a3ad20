"""The table of formats."""

from detector.config import DataFormat
from detector.data.formats.table import READERS


def test_every_format_has_a_reader():
    assert set(READERS) == set(DataFormat)
