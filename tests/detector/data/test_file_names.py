import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from detector.data.dataset import DataError, load_dataset
from detector.data.file_names import nearest

NAMES = ("a.png", "b.png", "sub/c.png")


def renamed(coco: Any, change: Callable[[str], str]) -> Any:
    for image in coco.document["images"]:
        image["file_name"] = change(image["file_name"])
    return coco.write()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda name: f"C:\\data\\images\\{name}".replace("/", "\\"), "by their last part"),
        (lambda name: f"/home/somebody/images/{name}", "by their last part"),
        (lambda name: f"../images/{name}", "by their last part"),
        (lambda name: name.replace("/", "\\"), "with / for"),
        (lambda name: f"https://host/bucket/{name}?signature=a/b", "by their last part"),
        (lambda name: f"/data/local-files/?d=images/{name}", "by their last part"),
        (lambda name: name.upper(), "whatever their upper and lower case"),
        (lambda name: name.replace(".png", ".jpg"), "whatever their suffix"),
        (lambda name: name.removesuffix(".png"), "whatever their suffix"),
        (lambda name: f"upload/x/{Path(name).stem}.JPG", "whatever folder and suffix"),
    ],
)
def test_a_name_from_elsewhere_is_the_one_file_that_fits(coco: Any, change: Callable[[str], str], words: str) -> None:
    dataset = load_dataset(renamed(coco, change))
    assert tuple(image.name for image in dataset.images) == NAMES
    [remark] = dataset.remarks
    assert remark.name == "file-names-read-otherwise"
    assert words in remark.message


def test_names_are_unescaped_and_composed(coco: Any) -> None:
    for image in coco.document["images"]:
        path = coco.root / "images" / image["file_name"]
        path.rename(path.with_name(f"é {path.name}"))
        stated = unicodedata.normalize("NFD", f"é {path.name}").replace(" ", "%20")
        image["file_name"] = str(Path(image["file_name"]).with_name(stated))
    assert [image.name for image in load_dataset(coco.write()).images] == ["é a.png", "é b.png", "sub/é c.png"]


def test_nothing_is_guessed_where_one_image_has_no_file_or_two(coco: Any, picture: Callable[..., None]) -> None:
    source = renamed(coco, lambda name: f"/elsewhere/{Path(name).name}")
    picture(coco.root / "images" / "sub" / "a.png")
    with pytest.raises(DataError, match="is an absolute path"):
        load_dataset(source)
    (coco.root / "images" / "sub" / "a.png").unlink()
    (coco.root / "images" / "b.png").unlink()
    with pytest.raises(DataError, match="is an absolute path"):
        load_dataset(source)


def test_of_files_of_one_name_the_one_in_the_same_folder_is_meant(coco: Any, picture: Callable[..., None]) -> None:
    picture(coco.root / "images" / "sub" / "a.png", seed=9)
    dataset = load_dataset(renamed(coco, lambda name: f"/mnt/images/{name}"))
    assert tuple(image.name for image in dataset.images) == NAMES


def test_two_images_never_get_one_file(coco: Any) -> None:
    coco.document["images"][0]["file_name"] = "X/b.png"
    coco.document["images"][1]["file_name"] = "Y/b.png"
    with pytest.raises(DataError, match=r"image 'X/b.png' is missing.*the nearest is 'b.png'"):
        load_dataset(coco.write())


def test_hidden_files_are_nobodys_image(coco: Any) -> None:
    images = coco.root / "images"
    (images / "._b.png").write_bytes((images / "b.png").read_bytes())
    (images / "b.png").rename(images / "different.png")
    (images / "different.png").rename(images / "bb.png")
    assert nearest(["b.png"], images) == {"b.png": "bb.png"}
