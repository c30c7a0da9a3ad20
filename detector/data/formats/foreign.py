"""Names the tools whose own files nothing here reads, by what stands in them, and what to export there instead."""

import contextlib
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from detector.data.formats.folders import files_in, folders_of

HEAD_BYTES = 1 << 16
MOST_LOOKED_AT = 200  # files


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """One kind of file of a tool, and how its head is told."""

    tool: str
    suffix: str
    has: tuple[str, ...]  # patterns, all of which are in the head
    advice: str


FOREIGN = (
    Foreign(
        tool="LabelMe's files, one for each image", suffix=".json", has=(r'"shapes"\s*:', r'"imagePath"\s*:'),
        advice="convert them to COCO (labelme2coco, or LabelMe's own examples/bbox_detection/labelme2voc.py for VOC)",
    ),
    Foreign(
        tool="a project of VGG's VIA", suffix=".json", has=(r'"_via_\w+"\s*:|"regions"\s*:.*"shape_attributes"',),
        advice="in VIA choose Annotation, then Export Annotations (COCO format)",
    ),
    Foreign(
        tool="Label Studio's own JSON", suffix=".json", has=(r'"(annotations|completions)"\s*:', r'"from_name"\s*:'),
        advice="in Label Studio choose Export, then COCO or Pascal VOC XML with images",
    ),
    Foreign(
        tool="Apple's CreateML format", suffix=".json", has=(r'"image(filename)?"\s*:', r'"coordinates"\s*:'),
        advice="export COCO JSON instead",
    ),
    Foreign(
        tool="CVAT for images", suffix=".xml", has=(r"<annotations", r"<image\s+id="),
        advice="in CVAT choose Export task dataset, then COCO 1.0 or PASCAL VOC 1.1",
    ),
    Foreign(
        tool="Datumaro's own format", suffix=".json", has=(r'"dm_format_version"',),
        advice="export COCO instead: datum convert -f coco_instances",
    ),
)  # fmt: skip


def foreign_kinds(folder: Path) -> list[str]:
    """A sentence for each tool whose files lie in the folder."""
    found: dict[str, str] = {}
    for file in itertools.islice(_files(folder), MOST_LOOKED_AT):
        head = _head(file)
        for kind in FOREIGN:
            if file.suffix.casefold() == kind.suffix and all(re.search(each, head, re.DOTALL) for each in kind.has):
                name = file.relative_to(folder)
                found.setdefault(kind.tool, f"{name} looks like {kind.tool}, which is not read: {kind.advice}")
    return list(found.values())


def _files(folder: Path) -> Iterator[Path]:
    suffixes = {kind.suffix for kind in FOREIGN}
    for place, suffix in itertools.product(folders_of(folder), sorted(suffixes)):
        with contextlib.suppress(OSError):
            yield from files_in(place, suffix)


def _head(file: Path) -> str:
    with contextlib.suppress(OSError), file.open("rb") as opened:
        return opened.read(HEAD_BYTES).replace(b"\0", b"").decode("utf-8", "replace")
    return ""
