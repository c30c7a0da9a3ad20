"""A copy of the sample dataset, to be spoiled and then examined by the doctor."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow

from search.doctor.diagnosis import Diagnosis, examine
from search.study.specification import specification_from

CANVAS = "96x128"
NARROW = {"anchor_scales": 1, "anchor_ratios": 1}  # one shape: derived in a tenth of a second


@dataclass(slots=True)
class SpoiledDataset:
    """A copy of the sample dataset: change `train` and `val`, or the files, then `examine`."""

    root: Path
    train: dict[str, Any]
    val: dict[str, Any]

    @classmethod
    def copied(cls, healthy: Path, root: Path) -> "SpoiledDataset":
        shutil.copytree(healthy, root)
        documents = {name: json.loads((root / f"{name}.json").read_text()) for name in ("train", "val")}
        return cls(root=root, **documents)

    @property
    def boxes(self) -> list[dict[str, Any]]:
        return self.train["annotations"]

    def image_file(self, index: int) -> Path:
        return self.root / "images" / self.train["images"][index]["file_name"]

    def boxes_in(self, index: int) -> list[dict[str, Any]]:
        number = self.train["images"][index]["id"]
        return [box for box in self.boxes if box["image_id"] == number]

    def stored_as(self, index: int, mode: str) -> None:
        """The same picture in another of Pillow's modes."""
        with Pillow.open(self.image_file(index)) as picture:
            if mode == "I;16":
                converted = Pillow.fromarray(np.asarray(picture.convert("L"), dtype=np.uint16) * 16)
            else:
                converted = picture.convert(mode)
        converted.save(self.image_file(index))

    def copy_image(self, source: int, name: str, *, into: str = "train") -> None:
        """An entry for a copy of the file, with the boxes of its original."""
        document = self.train if into == "train" else self.val
        shutil.copyfile(self.image_file(source), self.root / "images" / name)
        document["images"].append({**self.train["images"][source], "id": 9000, "file_name": name})
        for box in self.boxes_in(source):
            self._add(document, {**box, "image_id": 9000})

    def add_box(self, index: int, bbox: list[float], *, category_id: int | None = None) -> None:
        entry = {**self.boxes_in(index)[0], "bbox": bbox, "area": None}
        del entry["area"]
        self._add(self.train, entry if category_id is None else {**entry, "category_id": category_id})

    def _add(self, document: dict[str, Any], box: dict[str, Any]) -> None:
        document["annotations"].append({**box, "id": 1 + max(b["id"] for b in document["annotations"])})

    def written(self) -> Path:
        for name in ("train", "val"):
            (self.root / f"{name}.json").write_text(json.dumps(getattr(self, name)))
        return self.root

    def examine(self, **sections: Any) -> Diagnosis:
        weights = {"weights": "imagenet"}  # from scratch the images would be too few
        sections = {
            "space": NARROW,
            **sections,
            "detector": {"canvas": CANVAS, **weights, **sections.get("detector", {})},
        }
        document = {"name": "dataset", "storage": "sqlite:///unused.db", "data": {"folder": str(self.written())}}
        return examine(specification_from({**document, **sections}, "this dataset"))
