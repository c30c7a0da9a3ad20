"""Faults planted in data and configuration, and what the doctor (or the study file's reader) names first.

Each case spoils a copy of the sample dataset, on a canvas of 192 × 256 so that Detectron2's anchors fit it and nothing
else is to be found, or of BCCD where that is at hand (`FRCNN_BCCD`, or `shared/data/bccd` beside the checkout).
"""

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from benchmarks.parts.data_faults import FAULTS
from benchmarks.parts.spoiled_dataset import NARROW, SpoiledDataset
from detector.config import ConfigError
from detector.data.sample_data import write_sample
from search.doctor.diagnosis import Diagnosis, examine, refused
from search.doctor.diagnostic import Level
from search.doctor.size_checks import FEWEST_VALIDATION
from search.study.specification import specification_from
from search.study.study_file import load_study_file

CANVAS = "192x256"
BCCD = Path(os.environ.get("FRCNN_BCCD") or Path(__file__).resolve().parents[3] / "shared" / "data" / "bccd")
NOTHING = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One planted fault. `expected` is the name of the diagnostic that must come first."""

    name: str
    expected: str
    family: str  # of failure modes, or what else it belongs to
    diagnose: Callable[[Path], Diagnosis]  # in an empty folder
    mentions: tuple[str, ...] = ()  # what that diagnostic must name too

    def run(self) -> str:
        """The name of the first diagnostic, and what it should have mentioned but does not."""
        with tempfile.TemporaryDirectory() as folder:
            diagnostics = self.diagnose(Path(folder)).diagnostics
        if not diagnostics:
            return NOTHING
        same = [
            diagnostic for diagnostic in diagnostics if diagnostic.name == diagnostics[0].name
        ]  # of the other split, perhaps
        text = " ".join(word for diagnostic in same for word in (diagnostic.message, *diagnostic.examples))
        missed = [word for word in self.mentions if word not in text]
        return diagnostics[0].name + (f" without {', '.join(missed)}" if missed else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Healthy:
    """A dataset without a fault, or with none worse than a warning."""

    name: str
    diagnose: Callable[[Path], Diagnosis]
    errors: str = field(default="0", init=False)

    def run(self) -> str:
        """How many diagnostics are errors, and what else is said."""
        with tempfile.TemporaryDirectory() as folder:
            diagnostics = self.diagnose(Path(folder)).diagnostics
        errors = sum(diagnostic.level is Level.ERROR for diagnostic in diagnostics)
        return f"{errors} errors ({', '.join(diagnostic.name for diagnostic in diagnostics) or NOTHING})"


@cache
def _sample() -> Path:
    """As many images as the doctor finds enough with weights; it lasts as long as this process."""
    folder = Path(tempfile.mkdtemp(prefix="frcnn-planted-")) / "sample"
    write_sample(folder, train=24, validation=FEWEST_VALIDATION)
    return folder


def _spoiled(plant: Callable[[SpoiledDataset], None], **sections: Any) -> Callable[[Path], Diagnosis]:
    def diagnose(folder: Path) -> Diagnosis:
        dataset = SpoiledDataset.copied(_sample(), folder / "dataset")
        plant(dataset)
        return dataset.examine(**{"detector": {"canvas": CANVAS}, **sections})

    return diagnose


def _healthy(dataset: SpoiledDataset) -> None:
    """Nothing is planted in the data: the study is at fault."""


def _written(text: str) -> Callable[[Path], Diagnosis]:
    """A study file with these lines beside its data."""

    def diagnose(folder: Path) -> Diagnosis:
        file = folder / "study.yaml"
        shutil.copytree(_sample(), folder / "data")
        file.write_text(f"name: dataset\nstorage: sqlite:///study.db\ndata: {{folder: data}}\n{text}\n")
        try:
            return examine(load_study_file(file))
        except ConfigError as error:
            return refused("dataset", error)

    return diagnose


def _bccd(plant: Callable[[Path], None]) -> Callable[[Path], Diagnosis]:
    def diagnose(folder: Path) -> Diagnosis:
        root = shutil.copytree(BCCD, folder / "bccd", copy_function=shutil.copyfile)
        plant(root)
        document = {"name": "bccd", "storage": "sqlite:///unused.db", "data": {"folder": str(root)}, "space": NARROW}
        return examine(specification_from({**document, "detector": {"canvas": CANVAS}}, "BCCD"))

    return diagnose


def _as_it_is(root: Path) -> None:
    """Two boxes of BCCD are degenerate."""


def _rewritten(root: Path, change: Callable[[ElementTree.Element], None], *, split: str | None = None) -> None:
    """Change every annotation, or those of a split."""
    listed = (root / "ImageSets" / "Main" / f"{split}.txt").read_text().split() if split else None
    for file in (root / "Annotations").glob("*.xml"):
        if listed is None or file.stem in listed:
            tree = ElementTree.parse(file)
            change(tree.getroot())
            tree.write(file)


def _corners(box: ElementTree.Element) -> list[ElementTree.Element]:
    return [box.find(f"bndbox/{key}") for key in ("xmin", "ymin", "xmax", "ymax")]  # type: ignore[misc]  # BCCD has all


def _sizes_for_corners(root: Path) -> None:
    def change(annotation: ElementTree.Element) -> None:
        for box in annotation.findall("object"):
            x1, y1, x2, y2 = _corners(box)
            x2.text, y2.text = (str(int(b.text or 0) - int(a.text or 0)) for a, b in ((x1, x2), (y1, y2)))

    _rewritten(root, change)


def _axes_swapped(root: Path) -> None:
    def change(annotation: ElementTree.Element) -> None:
        for box in annotation.findall("object"):
            x1, y1, x2, y2 = _corners(box)
            x1.text, y1.text, x2.text, y2.text = y1.text, x1.text, y2.text, x2.text

    _rewritten(root, change)


def _class_renamed(root: Path) -> None:
    def change(annotation: ElementTree.Element) -> None:
        for name in annotation.findall("object/name"):
            name.text = (name.text or "").lower()

    _rewritten(root, change, split="val")


def _listed_in_both(root: Path) -> None:
    lists = root / "ImageSets" / "Main"
    first = (lists / "train.txt").read_text().split()[0]
    with (lists / "val.txt").open("a") as file:
        file.write(f"\n{first}\n")


def _picture_lost(root: Path) -> None:
    (root / "JPEGImages" / "BloodImage_00001.jpg").unlink()


def _picture_cut_off(root: Path) -> None:
    file = root / "JPEGImages" / "BloodImage_00001.jpg"
    file.write_bytes(file.read_bytes()[:3000])


def _entities(root: Path) -> None:
    file = root / "Annotations" / "BloodImage_00001.xml"
    text = file.read_text()
    file.write_text(f'<!DOCTYPE annotation [<!ENTITY a SYSTEM "file:///etc/passwd">]>{text}')


FAMILIES = {
    "unknown-category-id": "F11, F12 labels",
    "class-mismatch": "F12 labels",
    "classes-without-boxes": "F11 labels",
    "classes-not-validated": "F14 classes absent",
    "degenerate-boxes": "F15 boxes",
    "boxes-outside": "F16 boxes",
    "boxes-cut": "F16 boxes",
    "coordinate-order": "F17 order",
    "exif-rotation": "F18 EXIF",
    "exif-unstated": "F18 EXIF",
    "exif-turned": "F18 EXIF",
    "deep-pixels": "F19 pixels",
    "grey-images": "F19 pixels",
    "mixed-colour": "F19 pixels",
    "transparent-images": "F19 pixels",
}

_DATA = tuple(
    Case(
        name=f"sample: {fault.name}",
        expected=fault.expected,
        family=FAMILIES.get(fault.expected, "other data"),
        diagnose=_spoiled(fault.plant),
    )
    for fault in FAULTS
)


def _study(name: str, expected: str, family: str, **sections: Any) -> Case:
    return Case(name=f"study: {name}", expected=expected, family=family, diagnose=_spoiled(_healthy, **sections))


def _file(name: str, family: str, text: str, *mentions: str) -> Case:
    return Case(name=f"study: {name}", expected="study-file", family=family, diagnose=_written(text), mentions=mentions)


_STUDY = (
    _study("a canvas on which objects vanish", "anchors-hopeless", "F20 anchors", detector={"canvas": "32x32"}),
    _study(
        "anchors far larger than the objects",
        "anchors-hopeless",
        "F20 anchors",
        space={"anchors": {"sizes_px": [300, 400], "ratios": [1]}},
    ),
    _study("Detectron2's anchors on small objects", "anchors-misfit", "F20 anchors", detector={"canvas": "96x128"}),
    _study("a canvas of another aspect", "padded-canvas", "other data", detector={"canvas": "192x1024"}),
    _study("learning rates that all diverge", "learning-rate-hopeless", "F4 rate", space={**NARROW, "lr_per_16": 0.5}),
    _study(
        "learning rates that mostly diverge", "learning-rate-high", "F4 rate", space={**NARROW, "lr_per_16": [0.1, 0.2]}
    ),
    _file("a mistyped key", "F28 unknown keys", "space: {lr_per16: 0.01}", "lr_per16", "lr_per_16"),
    _file("a mistyped section", "F28 unknown keys", "buget: {trials: 3}", "buget", "budget"),
    _file("a decay past the end", "F30 schedule", "space: {decay_first: 1.5}", "decay_first"),
    _file("a rung past the end", "F30 schedule", "budget: {images: 960, rungs: [480, 2000]}", "rungs", "2000"),
    _file("a warm-up as long as the training", "F30 schedule", "space: {warmup_fraction: 1}", "warmup_fraction"),
    _file("a Python object in the file", "other configuration", "space: !!python/object:os.system {}", "python/object"),
)


def _of_bccd(name: str, expected: str, family: str, plant: Callable[[Path], None], *mentions: str) -> Case:
    return Case(name=f"BCCD: {name}", expected=expected, family=family, diagnose=_bccd(plant), mentions=mentions)


_BCCD = (
    _of_bccd(
        "as it is, two degenerate boxes",
        "degenerate-boxes",
        "F15 boxes",
        _as_it_is,
        "BloodImage_00338.jpg",
        "BloodImage_00343.jpg",
    ),
    _of_bccd("sizes in place of corners", "coordinate-order", "F17 order", _sizes_for_corners, "x, y, width, height"),
    _of_bccd("x and y swapped", "coordinate-order", "F17 order", _axes_swapped, "ymin, xmin, ymax, xmax"),
    _of_bccd("classes renamed in validation", "class-mismatch", "F12 labels", _class_renamed, "'rbc'"),
    _of_bccd("one image in both lists", "train-validation-leakage", "other data", _listed_in_both),
    _of_bccd("a picture lost", "image-missing", "other data", _picture_lost, "BloodImage_00001"),
    _of_bccd("a picture cut off", "image-unreadable", "other data", _picture_cut_off, "BloodImage_00001"),
    _of_bccd("an entity that reads a file", "annotation-file", "other data", _entities, "ENTITY"),
)

CASES = (*_DATA, *_STUDY, *(_BCCD if BCCD.is_dir() else ()))


def _small_objects(folder: Path) -> Diagnosis:
    write_sample(folder / "small", train=24, validation=FEWEST_VALIDATION, seed=1, sizes_px=(6.0, 20.0))
    return SpoiledDataset.copied(folder / "small", folder / "dataset").examine(space={**NARROW, "anchor_ratios": 3})


HEALTHY = (
    Healthy(name="sample", diagnose=_spoiled(_healthy)),
    Healthy(name="sample with small objects", diagnose=_small_objects),
    *((Healthy(name="BCCD", diagnose=_bccd(_as_it_is)),) if BCCD.is_dir() else ()),
)
