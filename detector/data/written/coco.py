"""Writes COCO: annotations/instances_{train,val}.json and images/{train,val}."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from detector.data.written.split import WrittenSplit, corners_of


def write(output: Path, splits: Sequence[WrittenSplit]) -> list[list[Path]]:
    """The JSON files; returns where each image of each split belongs."""
    (output / "annotations").mkdir()
    for split in splits:
        file = output / "annotations" / f"instances_{split.name}.json"
        file.write_text(json.dumps(document(split), ensure_ascii=False), encoding="utf-8")
    return [[output / "images" / split.name / image.name for image in split.dataset.images] for split in splits]


def document(split: WrittenSplit) -> dict[str, Any]:
    """All of a split as COCO has it; file names are relative to the folder of its images."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, image in enumerate(split.dataset.images, start=1):
        size = {"width": image.width_px, "height": image.height_px}
        images.append({"id": number, "file_name": image.name, **size})
        for (x1, y1, x2, y2), label, crowd, area in zip(
            corners_of(image), image.labels.tolist(), image.crowd.tolist(), image.area.tolist(), strict=True
        ):
            annotations.append({
                "id": len(annotations) + 1, "image_id": number, "category_id": label + 1,
                "bbox": [x1, y1, x2 - x1, y2 - y1], "area": area, "iscrowd": int(crowd),
            })  # fmt: skip
    categories = [{"id": number, "name": name} for number, name in enumerate(split.dataset.classes, start=1)]
    return {"images": images, "annotations": annotations, "categories": categories}
