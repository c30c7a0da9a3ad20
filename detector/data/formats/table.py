"""The formats that there are. A new one is a name in `data_source`, a room here, and a line in this table."""

from collections.abc import Mapping

from detector.data.formats.coco.reader import COCO
from detector.data.formats.csv_table.reader import CSV
from detector.data.formats.reader import Reader
from detector.data.formats.voc.reader import VOC
from detector.data.formats.yolo.reader import YOLO
from detector.data_source import DataFormat

READERS: Mapping[DataFormat, Reader] = {
    DataFormat.COCO: COCO,
    DataFormat.VOC: VOC,
    DataFormat.YOLO: YOLO,
    DataFormat.CSV: CSV,
}
