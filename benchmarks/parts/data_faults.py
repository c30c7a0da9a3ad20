"""Faults that are planted in a copy of the sample dataset, and what the doctor must say of each."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image as Pillow

from benchmarks.parts.spoiled_dataset import SpoiledDataset
from search.doctor.diagnostic import Level

ERROR, WARNING, NOTE = Level.ERROR, Level.WARNING, Level.NOTE


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFault:
    """One way to spoil a healthy dataset."""

    plant: Callable[[SpoiledDataset], None]
    expected: str  # the name of the diagnostic
    level: Level
    others: frozenset[str] = frozenset()  # diagnostics that it brings about as well

    @property
    def name(self) -> str:
        """What is wrong, in a few words."""
        return self.plant.__name__.replace("_", " ")


def degenerate(dataset: SpoiledDataset) -> None:
    dataset.add_box(0, [10, 10, 0, 5])


def not_finite(dataset: SpoiledDataset) -> None:
    dataset.add_box(0, [10, float("nan"), 8, 5])


def outside(dataset: SpoiledDataset) -> None:
    dataset.add_box(0, [500, 10, 8, 5])


def beyond_the_border(dataset: SpoiledDataset) -> None:
    for index in range(5):
        dataset.add_box(index, [110, 70, 40, 20])


def corners_for_sizes(dataset: SpoiledDataset) -> None:
    for box in dataset.boxes:
        x, y, width, height = box["bbox"]
        box["bbox"] = [x, y, x + width, y + height]


def normalised(dataset: SpoiledDataset) -> None:
    for box in dataset.boxes:
        box["bbox"] = [value / 128 for value in box["bbox"]]


def axes_swapped(dataset: SpoiledDataset) -> None:
    for index in range(24):  # on boxes near the middle a swap can't be seen
        for step in range(4):
            dataset.add_box(index, [98 + step, 10, 20, 15])
    for box in dataset.boxes:
        x, y, width, height = box["bbox"]
        box["bbox"] = [y, x, height, width]


def labels_off_by_one(dataset: SpoiledDataset) -> None:
    for document in (dataset.train, dataset.val):
        order = {entry["id"]: index for index, entry in enumerate(document["categories"])}
        document["categories"] = [{**entry, "id": order[entry["id"]]} for entry in document["categories"]]
        for box in document["annotations"]:
            box["category_id"] = order[box["category_id"]] + 1


def class_without_boxes(dataset: SpoiledDataset) -> None:
    for document in (dataset.train, dataset.val):
        document["categories"].insert(0, {"id": 0, "name": "objects"})


def class_not_validated(dataset: SpoiledDataset) -> None:
    first = dataset.val["categories"][0]["id"]
    dataset.val["annotations"] = [box for box in dataset.val["annotations"] if box["category_id"] != first]


def unknown_class_in_validation(dataset: SpoiledDataset) -> None:
    dataset.val["categories"][0]["name"] = "doughnut"


def one_class_in_two_spellings(dataset: SpoiledDataset) -> None:
    for document in (dataset.train, dataset.val):
        document["categories"].append({"id": 99, "name": "Discs "})
        for box in document["annotations"][::4]:
            box["category_id"] = 99


def rare_class(dataset: SpoiledDataset) -> None:
    for document in (dataset.train, dataset.val):
        document["categories"].append({"id": 99, "name": "star"})
        document["annotations"][0]["category_id"] = 99


def unbalanced(dataset: SpoiledDataset) -> None:
    rare_class(dataset)
    for index in range(24):
        for step in range(6):
            dataset.add_box(index, [7 + 19 * step, 73, 16, 16], category_id=3)


def same_box_twice(dataset: SpoiledDataset) -> None:
    dataset.add_box(0, dataset.boxes_in(0)[0]["bbox"])


def same_box_with_two_labels(dataset: SpoiledDataset) -> None:
    first = dataset.boxes_in(0)[0]
    dataset.add_box(0, first["bbox"], category_id=next(n for n in (3, 7, 9) if n != first["category_id"]))


def same_picture_twice(dataset: SpoiledDataset) -> None:
    dataset.copy_image(0, "again.png")


def file_listed_twice(dataset: SpoiledDataset) -> None:
    dataset.train["images"].append({**dataset.train["images"][0], "id": 9000})


def picture_in_both_splits(dataset: SpoiledDataset) -> None:
    dataset.val["images"].append({**dataset.train["images"][0], "id": 9000})


def copy_in_both_splits(dataset: SpoiledDataset) -> None:
    dataset.copy_image(0, "held_out.png", into="val")


def turned(dataset: SpoiledDataset, *, stated: bool) -> None:
    """A camera held upright: the pixels lie, and EXIF says to turn them."""
    file = dataset.image_file(0).with_suffix(".jpg")
    exif = Pillow.Exif()
    exif[0x0112] = 6
    with Pillow.open(dataset.image_file(0)) as picture:
        picture.save(file, exif=exif)
    entry = dataset.train["images"][0]
    entry["file_name"] = file.name
    if not stated:
        del entry["width"], entry["height"]
        for step, box in enumerate(dataset.boxes_in(0)):
            box["bbox"] = [8 + 9 * step, 20, 20, 20]


def annotated_unturned(dataset: SpoiledDataset) -> None:
    turned(dataset, stated=True)


def turned_without_a_size(dataset: SpoiledDataset) -> None:
    turned(dataset, stated=False)


def turned_and_annotated_upright(dataset: SpoiledDataset) -> None:
    turned(dataset, stated=False)
    dataset.train["images"][0] |= {"width": 96, "height": 128}


def sixteen_bits(dataset: SpoiledDataset) -> None:
    dataset.stored_as(0, "I;16")


def all_grey(dataset: SpoiledDataset) -> None:
    for file in (dataset.root / "images").glob("*.png"):
        with Pillow.open(file) as picture:
            grey = picture.convert("L")
        grey.save(file)


def some_grey(dataset: SpoiledDataset) -> None:
    dataset.stored_as(3, "L")


def transparent(dataset: SpoiledDataset) -> None:
    dataset.stored_as(3, "RGBA")


def blank(dataset: SpoiledDataset) -> None:
    Pillow.new("RGB", (128, 96), (90, 90, 90)).save(dataset.image_file(0))


def most_images_empty(dataset: SpoiledDataset) -> None:
    kept = {entry["id"] for entry in dataset.train["images"][:10]}
    dataset.train["annotations"] = [box for box in dataset.boxes if box["image_id"] in kept]


def boxes_around_everything(dataset: SpoiledDataset) -> None:
    for index in range(20):
        dataset.add_box(index, [0, 0, 128, 96])


def crowded(dataset: SpoiledDataset) -> None:
    for y in range(0, 90, 9):
        for x in range(0, 120, 12):
            dataset.add_box(0, [x, y, 10, 8])


def crowded_validation(dataset: SpoiledDataset) -> None:
    image = dataset.val["images"][0]["id"]
    for number in range(101):
        box = {
            "bbox": [number % 50 * 2, 2 + 9 * (number // 50), 12, 14],
            "category_id": 3,
            "image_id": image,
            "iscrowd": 0,
        }
        dataset.val["annotations"].append({**box, "id": 5000 + number})


def missing(dataset: SpoiledDataset) -> None:
    dataset.image_file(0).unlink()
    dataset.image_file(5).unlink()


def truncated(dataset: SpoiledDataset) -> None:
    file = dataset.image_file(2)
    file.write_bytes(file.read_bytes()[:-4000])


def no_picture(dataset: SpoiledDataset) -> None:
    dataset.image_file(2).write_bytes(b"<html>404</html>")


def resized_after_annotation(dataset: SpoiledDataset) -> None:
    with Pillow.open(dataset.image_file(0)) as picture:
        half = picture.resize((64, 48))
    half.save(dataset.image_file(0))


def bomb(dataset: SpoiledDataset) -> None:
    """A header that promises 100,000 × 100,000 px."""
    file = dataset.image_file(0)
    content = bytearray(file.read_bytes())
    content[16:24] = (100_000).to_bytes(4, "big") * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    file.write_bytes(content)


def out_of_the_folder(dataset: SpoiledDataset) -> None:
    dataset.train["images"][0]["file_name"] = "../../etc/passwd"


def no_box_at_all(dataset: SpoiledDataset) -> None:
    dataset.train["annotations"] = []


FAULTS = (
    DataFault(plant=degenerate, expected="degenerate-boxes", level=WARNING),
    DataFault(plant=not_finite, expected="degenerate-boxes", level=WARNING),
    DataFault(plant=outside, expected="boxes-outside", level=WARNING),
    DataFault(plant=beyond_the_border, expected="boxes-cut", level=WARNING),
    DataFault(plant=corners_for_sizes, expected="coordinate-order", level=ERROR),
    DataFault(plant=axes_swapped, expected="coordinate-order", level=ERROR),
    DataFault(plant=normalised, expected="coordinate-order", level=ERROR),
    DataFault(plant=labels_off_by_one, expected="unknown-category-id", level=ERROR),
    DataFault(plant=class_without_boxes, expected="classes-without-boxes", level=WARNING),
    DataFault(plant=class_not_validated, expected="classes-not-validated", level=WARNING),
    DataFault(plant=unknown_class_in_validation, expected="class-mismatch", level=ERROR),
    DataFault(plant=one_class_in_two_spellings, expected="classes-alike", level=WARNING),
    DataFault(plant=rare_class, expected="rare-classes", level=WARNING),
    DataFault(plant=unbalanced, expected="class-imbalance", level=WARNING, others=frozenset({"rare-classes"})),
    DataFault(plant=same_box_twice, expected="duplicate-boxes", level=WARNING),
    DataFault(plant=same_box_with_two_labels, expected="disputed-labels", level=WARNING),
    DataFault(plant=same_picture_twice, expected="duplicate-images", level=WARNING),
    DataFault(plant=file_listed_twice, expected="image-listed-twice", level=ERROR),
    DataFault(plant=picture_in_both_splits, expected="train-validation-leakage", level=ERROR),
    DataFault(plant=copy_in_both_splits, expected="train-validation-copies", level=WARNING),
    DataFault(plant=annotated_unturned, expected="exif-rotation", level=ERROR),
    DataFault(plant=turned_without_a_size, expected="exif-unstated", level=WARNING),
    DataFault(plant=turned_and_annotated_upright, expected="exif-turned", level=NOTE),
    DataFault(plant=sixteen_bits, expected="deep-pixels", level=WARNING),
    DataFault(plant=all_grey, expected="grey-images", level=NOTE),
    DataFault(plant=some_grey, expected="mixed-colour", level=WARNING),
    DataFault(plant=transparent, expected="transparent-images", level=NOTE),
    DataFault(plant=blank, expected="blank-images", level=WARNING),
    DataFault(plant=most_images_empty, expected="empty-images", level=WARNING, others=frozenset({"rare-classes"})),
    DataFault(plant=boxes_around_everything, expected="whole-image-boxes", level=WARNING),
    DataFault(plant=crowded, expected="too-few-proposals", level=WARNING, others=frozenset({"too-few-roi-samples"})),
    DataFault(plant=crowded_validation, expected="more-boxes-than-detections", level=WARNING),
    DataFault(plant=missing, expected="image-missing", level=ERROR),
    DataFault(plant=truncated, expected="image-unreadable", level=ERROR),
    DataFault(plant=no_picture, expected="image-unreadable", level=ERROR),
    DataFault(plant=resized_after_annotation, expected="image-size", level=ERROR),
    DataFault(plant=bomb, expected="image-too-large", level=ERROR),
    DataFault(plant=out_of_the_folder, expected="image-path", level=ERROR),
    DataFault(plant=no_box_at_all, expected="no-boxes", level=ERROR),
)
