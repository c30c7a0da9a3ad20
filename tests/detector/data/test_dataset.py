import hashlib
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from detector.config import ConfigError
from detector.data.dataset import DataError, ground_truth_slots, load_dataset, most_boxes
from detector.data.layout import find_sources
from detector.data.pair import load_pair


def test_coco_boxes_become_yxyx_with_labels_by_increasing_category_id(coco: Any) -> None:
    dataset = load_dataset(coco.source)
    assert dataset.classes == ("cat", "dog")
    first, second, third = dataset.images
    assert first.boxes.tolist() == [[5, 10, 35, 30], [0, 0, 40, 60]]
    assert first.boxes.dtype == np.float32
    assert first.labels.tolist() == [0, 1]
    assert first.crowd.tolist() == [False, True]
    assert first.area.tolist() == [450.5, 60 * 40]  # stated, and that of the box
    assert first.training_boxes.tolist() == [[5, 10, 35, 30]]
    assert first.training_labels.tolist() == [0]
    assert (second.image_id, second.width_px, second.height_px) == (5, 60, 40)
    assert third.boxes.shape == (0, 4)
    assert dataset.trainable == (0, 1)


@pytest.mark.parametrize("area", [0, -5, 1e300, float("nan"), 60 * 40 + 1])
def test_an_area_that_cannot_be_is_replaced_by_that_of_the_box(coco: Any, area: float) -> None:
    coco.document["annotations"][0]["area"] = area
    assert load_dataset(coco.write()).images[0].area[0] == 20 * 30


def test_an_image_with_crowds_only_is_not_trained_on(coco: Any) -> None:
    coco.document["annotations"][2]["iscrowd"] = 1
    dataset = load_dataset(coco.write())
    assert dataset.trainable == (0,)
    assert most_boxes(dataset) == 1


def test_voc_is_read_into_the_same_records(voc: Any) -> None:
    dataset = load_dataset(voc.source("train"))
    assert dataset.classes == ("cat", "dog")
    assert dataset.images[0].boxes.tolist() == [[0, 0, 10, 20], [20, 30, 40, 60]]
    assert dataset.images[0].labels.tolist() == [1, 0]
    assert dataset.images[0].area.tolist() == [10 * 20, 20 * 30]


def test_unusable_boxes_are_dropped_with_file_and_reason_and_others_clipped(coco: Any) -> None:
    extra = [[5, 5, 0, 10], [5, 5, -3, 10], [70, 5, 10, 10], [50, 30, 20, 20], [5, 5, 9, float("nan")]]
    extra += [[3, 3, 9, 9]] * 10  # most boxes must be good, otherwise the whole file is refused
    coco.document["annotations"] += [
        {"id": 200 + number, "image_id": 5, "category_id": 4, "bbox": bbox} for number, bbox in enumerate(extra)
    ]
    dataset = load_dataset(coco.write())
    assert [(box.file, box.reason.split(" (")[0]) for box in dataset.dropped] == [
        ("b.png", "annotation 200 has no area: its right or lower edge doesn't lie beyond its left or upper one"),
        ("b.png", "annotation 201 has no area: its right or lower edge doesn't lie beyond its left or upper one"),
        ("b.png", "annotation 202 lies outside the image of 60 × 40 px"),
        ("b.png", "annotation 204 has a coordinate that is not finite"),
    ]
    assert dataset.clipped == 1
    assert dataset.images[1].boxes[1].tolist() == [30, 50, 40, 60]
    assert most_boxes(dataset) == 1 + 1 + 10
    assert ground_truth_slots(dataset) == 16


def test_a_coordinate_order_mixed_up_is_an_error_with_a_hint(coco: Any) -> None:
    for number, entry in enumerate(coco.document["annotations"]):
        entry["bbox"] = [30 + number, 20, 55, 38]  # x1, y1, x2, y2
    with pytest.raises(DataError, match=r"100% of the 3 boxes .* if the numbers were \[x1, y1, x2, y2\]"):
        load_dataset(coco.write())


def _remove(coco: Any) -> None:
    (coco.root / "images" / "b.png").unlink()


def _empty(coco: Any) -> None:
    (coco.root / "images" / "b.png").write_bytes(b"")


def _no_boxes(coco: Any) -> None:
    coco.document["annotations"] = []


def _crowds_only(coco: Any) -> None:
    for entry in coco.document["annotations"]:
        entry["iscrowd"] = 1


def _other_size(coco: Any) -> None:
    coco.document["images"][1]["width"] = 61


def _escape(coco: Any) -> None:
    coco.document["images"][1]["file_name"] = "../../canary.png"


def _file_twice(coco: Any) -> None:
    coco.document["images"][2]["file_name"] = "./a.png"


def _no_image_folder(coco: Any) -> None:
    (coco.root / "images").rename(coco.root / "pictures")


def _exif(coco: Any) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = 6
    Pillow.new("RGB", (60, 40), (9, 8, 7)).save(coco.root / "images" / "b.png", exif=exif)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_remove, "image 'b.png' is missing"),
        (_empty, "b.png: the file is empty"),
        (_no_boxes, "no usable box in 3 images"),
        (_crowds_only, "all 3 boxes are crowds"),
        (_other_size, "the annotations state 61 × 40 px, but the image has 60 × 40"),
        (_exif, "state 60 × 40 px, but the image has 40 × 60; its EXIF data rotates it"),
        (_escape, "leaves the image folder by '..'"),
        (_file_twice, "./a.png is also image 11"),
        (_no_image_folder, "the folder of images is missing"),
    ],
)
def test_what_does_not_fit_the_images_is_an_error(coco: Any, spoil: Callable[[Any], None], message: str) -> None:
    spoil(coco)
    with pytest.raises(DataError) as caught:
        load_dataset(coco.write())
    assert message in str(caught.value)
    assert isinstance(caught.value, ConfigError)


def test_many_bad_images_give_one_message_with_the_first_ten(coco: Any) -> None:
    coco.document["images"] += [{"id": 1000 + n, "file_name": f"none{n}.png"} for n in range(14)]
    with pytest.raises(DataError) as caught:
        load_dataset(coco.write())
    lines = str(caught.value).splitlines()
    assert lines[0].endswith("14 of 17 images can't be used:")
    assert len(lines) == 1 + 10 + 1
    assert lines[-1] == "  … and 4 more"


def test_sizes_follow_the_exif_rotation(coco: Any) -> None:
    _exif(coco)
    coco.document["images"][1] |= {"width": 40, "height": 60}
    image = load_dataset(coco.write()).images[1]
    assert (image.width_px, image.height_px) == (40, 60)


def test_a_stated_size_may_be_missing(coco: Any) -> None:
    for entry in coco.document["images"]:
        del entry["width"], entry["height"]
    assert load_dataset(coco.write()).images[0].width_px == 60


@pytest.fixture
def opened() -> Iterator[list[str]]:
    """Every path that this process opens during the test."""
    paths: list[str] = []
    watching = [True]

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if watching[0] and event == "open":
            paths.append(str(arguments[0]))

    sys.addaudithook(hook)
    yield paths
    watching[0] = False


def test_a_file_outside_the_folder_is_never_opened(coco: Any, picture: Callable[..., None], opened: list[str]) -> None:
    canary = coco.root.parent / "canary.png"
    picture(canary)
    (coco.root / "images" / "link.png").symlink_to(canary)
    opened.clear()
    for name in ("../../canary.png", str(canary), "link.png", "sub/../../../canary.png"):
        coco.document["images"][1]["file_name"] = name
        with pytest.raises(DataError):
            load_dataset(coco.write())
    assert any(path.endswith("a.png") for path in opened)  # the hook does see what is opened
    assert not any("canary" in path or "link.png" in path for path in opened)


def test_the_fingerprint_follows_content_and_nothing_else(coco: Any, picture: Callable[..., None]) -> None:
    before = load_dataset(coco.source).fingerprint
    image = coco.root / "images" / "b.png"
    image.touch()
    assert load_dataset(coco.source).fingerprint == before
    picture(image, seed=99)
    changed = load_dataset(coco.source).fingerprint
    assert changed != before
    coco.document["annotations"][0]["bbox"] = [10, 5, 20, 29]
    assert load_dataset(coco.write()).fingerprint not in {before, changed}


def test_a_validation_file_is_mapped_onto_the_training_classes_by_name(coco: Any) -> None:
    coco.document["categories"] = [{"id": 1, "name": "dog"}]
    coco.document["annotations"] = [{"id": 1, "image_id": 5, "category_id": 1, "bbox": [1, 2, 8, 4]}]
    dataset = load_dataset(coco.write(), classes=("cat", "dog"))
    assert dataset.classes == ("cat", "dog")
    assert dataset.images[1].labels.tolist() == [1]


def test_a_class_unknown_to_training_is_an_error(coco: Any) -> None:
    with pytest.raises(DataError, match=r"the classes 'dog' are not among the training classes \('cat'\)"):
        load_dataset(coco.source, classes=("cat",))


def test_a_pair_shares_its_classes_but_no_image(voc: Any) -> None:
    train, validation = load_pair(voc.source("train"), voc.source("val"), share=0.2, seed=0)
    assert train.classes == validation.classes == ("cat", "dog")
    assert [image.name for image in validation.images] == ["three.png"]


def test_an_image_in_both_splits_is_an_error(voc: Any) -> None:
    voc.list("val", "three", "two")
    with pytest.raises(DataError, match=r"1 images are in both .*\n  two.png"):
        load_pair(voc.source("train"), voc.source("val"), share=0.2, seed=0)


def test_a_copy_of_an_image_in_both_splits_is_an_error(coco: Any, tmp_path: Path) -> None:
    copy = type(coco)(tmp_path / "copy")
    (tmp_path / "copy" / "images" / "sub").mkdir(parents=True)
    for entry in copy.document["images"]:
        content = (coco.root / "images" / entry["file_name"]).read_bytes()
        (copy.root / "images" / entry["file_name"]).write_bytes(content)
    with pytest.raises(DataError, match="3 images are in both"):
        load_pair(coco.source, copy.write(), share=0.2, seed=0)


@pytest.fixture
def many(coco: Any, picture: Callable[..., None]) -> Any:
    """Forty images with one box each."""
    names = [f"m{number}.png" for number in range(40)]
    for number, name in enumerate(names):
        picture(coco.root / "images" / name, seed=number)
    coco.document["images"] = [{"id": number, "file_name": name} for number, name in enumerate(names)]
    coco.document["annotations"] = [
        {"id": number, "image_id": number, "category_id": 4, "bbox": [1, 2, 8, 4]} for number in range(40)
    ]
    coco.write()
    return coco


def test_a_missing_validation_set_is_split_off_the_same_way_every_time(many: Any) -> None:
    train, validation = load_pair(many.source, None, share=0.2, seed=3)
    chosen = {image.name for image in validation.images}
    assert len(chosen) == 8  # 0.2 × 40
    assert len(train.images) == 32
    assert not chosen & {image.name for image in train.images}
    assert train.fingerprint != validation.fingerprint
    many.document["images"].reverse()
    many.write()
    _, again = load_pair(many.source, None, share=0.2, seed=3)
    assert {image.name for image in again.images} == chosen
    _, other = load_pair(many.source, None, share=0.2, seed=4)
    assert {image.name for image in other.images} != chosen


def test_without_copies_the_split_is_what_it_always_was(many: Any) -> None:
    """Studies compare fingerprints: another split would be other data."""
    _, validation = load_pair(many.source, None, share=0.2, seed=3)
    names = [f"m{number}.png" for number in range(40)]
    lowest = sorted(names, key=lambda name: hashlib.sha256(f"3/{name}".encode()).digest())[:8]
    whole = load_dataset(many.source)
    expected = whole.select([index for index, name in enumerate(names) if name in lowest])
    assert validation.fingerprint == expected.fingerprint


@pytest.mark.parametrize("seed", range(6))
def test_copies_of_an_image_stay_on_one_side(many: Any, seed: int) -> None:
    folder = many.root / "images"
    for number in range(0, 40, 2):  # twenty pairs
        shutil.copy(folder / f"m{number}.png", folder / f"m{number + 1}.png")
    train, validation = load_pair(many.source, None, share=0.2, seed=seed)
    assert (len(train.images), len(validation.images)) == (32, 8)
    assert not {image.digest for image in train.images} & {image.digest for image in validation.images}


def test_copies_that_are_more_than_the_share_are_all_trained_on(many: Any) -> None:
    folder = many.root / "images"
    for number in range(1, 30):
        shutil.copy(folder / "m0.png", folder / f"m{number}.png")
    _, validation = load_pair(many.source, None, share=0.2, seed=0)
    assert len(validation.images) == 8
    assert all(int(image.name[1:-4]) >= 30 for image in validation.images)


def test_where_no_group_of_copies_fits_the_fewest_images_are_held_out(many: Any) -> None:
    folder = many.root / "images"
    for number in range(40):  # 25 copies of one image and 15 of another; a share of 8
        shutil.copy(folder / f"m{25 if number >= 25 else 0}.png", folder / f"copy{number}.png")
    for number in range(40):
        (folder / f"copy{number}.png").rename(folder / f"m{number}.png")
    _, validation = load_pair(many.source, None, share=0.2, seed=0)
    assert {image.name for image in validation.images} == {f"m{number}.png" for number in range(25, 40)}


def test_copies_of_one_image_alone_cannot_be_split(many: Any) -> None:
    for number in range(1, 40):
        shutil.copy(many.root / "images" / "m0.png", many.root / "images" / f"m{number}.png")
    with pytest.raises(DataError, match="all 40 images are copies of one"):
        load_pair(many.source, None, share=0.2, seed=0)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5, float("nan")])
def test_a_share_that_leaves_one_side_empty_is_refused(many: Any, share: float) -> None:
    with pytest.raises(ConfigError, match="must lie between 0 and 1"):
        load_pair(many.source, None, share=share, seed=0)


def test_a_split_that_leaves_a_side_without_boxes_is_refused(many: Any) -> None:
    many.document["annotations"] = many.document["annotations"][:1]
    with pytest.raises(DataError, match="leaves no box for"):
        load_pair(many.write(), None, share=0.2, seed=0)


def test_one_image_cannot_be_split(coco: Any) -> None:
    coco.document["images"] = coco.document["images"][:1]
    coco.document["annotations"] = coco.document["annotations"][:1]
    with pytest.raises(DataError, match="one image can't be split"):
        load_pair(coco.write(), None, share=0.5, seed=0)


def test_a_selection_keeps_order_and_has_its_own_fingerprint(coco: Any) -> None:
    dataset = load_dataset(coco.source)
    part = dataset.select([2, 0])
    assert [image.name for image in part.images] == ["sub/c.png", "a.png"]
    assert part.fingerprint not in {dataset.fingerprint, dataset.select([0, 2]).fingerprint}


def test_bccd_loses_exactly_its_two_degenerate_boxes(bccd: Path) -> None:
    train, validation = load_pair(*find_sources(bccd), share=0.2, seed=0)
    assert (len(train.images), len(validation.images)) == (205, 87)
    assert train.classes == ("Platelets", "RBC", "WBC")
    dropped = [(box.file, box.reason.split(" (")[0]) for box in (*train.dropped, *validation.dropped)]
    assert dropped == [
        ("BloodImage_00343.jpg", "object 3 is not more than 1 px wide or high"),
        ("BloodImage_00338.jpg", "object 12 is not more than 1 px wide or high"),
    ]
