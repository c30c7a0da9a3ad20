from collections.abc import Callable
from typing import Any

import pytest

from detector.data.formats.annotation import DataError
from detector.data.formats.voc.reader import read_voc


def test_one_based_inclusive_pixels_become_corners_from_zero(voc: Any) -> None:
    annotations = read_voc(voc.source("train"))
    assert annotations.categories == {1: "cat", 2: "dog"}
    one, two = annotations.images
    assert (one.image_id, one.file_name, one.width_px, one.height_px) == (1, "one.png", 60, 40)
    # xmin 31 … xmax 60, counted from 1 and inclusive, are 30 pixels: from 30 to 60
    assert [box.corners for box in one.boxes] == [(0, 0, 20, 10), (30, 20, 60, 40)]
    assert [box.category_id for box in two.boxes] == [1]


def test_without_a_list_every_file_is_read_in_order_of_name(voc: Any) -> None:
    assert [image.file_name for image in read_voc(voc.source()).images] == ["one.png", "three.png", "two.png"]


def test_difficult_objects_are_crowds(voc: Any, xml: Callable[..., str]) -> None:
    voc.write("two", xml(("cat", (5, 6, 15, 26))).replace("<difficult>0", "<difficult>1"))
    assert read_voc(voc.source("train")).images[1].boxes[0].crowd


def test_a_list_of_one_class_carries_flags_behind_the_names(voc: Any, xml: Callable[..., str]) -> None:
    voc.write("with space 1", xml(("cat", (5, 6, 15, 26))))
    voc.list("train", "one  1", "two -1", "with space 1")
    assert [image.place for image in read_voc(voc.source("train")).images] == ["one.xml", "two.xml", "with space 1.xml"]


def test_where_several_pictures_share_a_stem_the_xml_decides(voc: Any, picture: Callable[..., None]) -> None:
    picture(voc.root / "JPEGImages" / "one.bmp")
    with pytest.raises(DataError, match=r"one\.bmp, one\.png all fit"):
        read_voc(voc.source("train"))
    file = voc.root / "Annotations" / "one.xml"
    file.write_text(file.read_text().replace("renamed.png", "one.bmp"))
    assert read_voc(voc.source("train")).images[0].file_name == "one.bmp"


BOMB = """<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>
<annotation><filename>&b;</filename></annotation>"""
EXTERNAL = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation><filename>&x;</filename></annotation>'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<annotation><object>", "not valid XML at line 1, column 20"),
        ("", "not valid XML at line 1, column 0"),
        (BOMB, "XML entities (<!ENTITY) are not allowed"),
        (EXTERNAL, "XML entities (<!ENTITY) are not allowed"),
        (EXTERNAL.encode("utf-16"), "XML entities (<!ENTITY) are not allowed"),
        ('<?xml version="1.0" encoding="no-such"?><annotation/>', "not valid XML"),
        ("<html></html>", "must be <annotation>, but is <html>"),
        ("<annotation><object><bndbox/></object></annotation>", "every object needs a name"),
        (
            "<annotation><object><name>cat</name></object></annotation>",
            "object 0: bndbox/xmin must be a number of pixels, but is missing",
        ),
        (
            "<annotation><object><name>cat</name><bndbox><xmin>1,5</xmin></bndbox></object></annotation>",
            "bndbox/xmin must be a number of pixels, but is '1,5'",
        ),
        ("<annotation><size><width>wide</width></size></annotation>", "size/width must be a whole number"),
        ("<annotation><filename>café</filename></annotation>".encode("latin-1"), "its bytes are not UTF-8: save it"),
    ],
    ids=[
        "unclosed", "empty", "entity bomb", "external entity", "entity in UTF-16", "unknown encoding", "not VOC",
        "no name", "no box", "decimal comma", "width a word", "undeclared Latin-1",
    ],
)  # fmt: skip
def test_a_broken_file_is_named_with_its_reason(voc: Any, content: str | bytes, message: str) -> None:
    (voc.root / "Annotations" / "two.xml").write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(DataError) as caught:
        read_voc(voc.source("train"))
    assert message in str(caught.value)
    assert "two.xml" in str(caught.value)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["one", "nine"], "nine.xml: the annotation file is missing, but the list of images names it"),
        ([""], "lists no image"),
        (["../../etc/passwd"], "passwd.xml: the annotation file is missing"),
        (["one\0"], "holds a NUL character"),
    ],
)
def test_a_broken_list_is_named_with_its_reason(voc: Any, lines: list[str], message: str) -> None:
    voc.list("train", *lines)
    with pytest.raises(DataError) as caught:
        read_voc(voc.source("train"))
    assert message in str(caught.value)


def test_missing_folders_and_lists_are_named(voc: Any) -> None:
    with pytest.raises(DataError, match=r"nope\.txt: the list of images is missing"):
        read_voc(voc.source("nope"))
    for name in ("JPEGImages", "Annotations"):
        (voc.root / name).rename(voc.root / f"{name}.away")
        with pytest.raises(DataError, match=f"{name}: the folder of .* is missing"):
            read_voc(voc.source("train"))


def test_a_linked_annotation_may_not_leave_its_folder(voc: Any) -> None:
    outside = voc.root.parent / "outside.xml"
    outside.write_text("<annotation/>")
    (voc.root / "Annotations" / "link.xml").symlink_to(outside)
    voc.list("train", "link")
    with pytest.raises(DataError, match="leads out of the dataset's folder"):
        read_voc(voc.source("train"))


def test_a_folder_without_annotations_is_refused(voc: Any) -> None:
    for file in (voc.root / "Annotations").iterdir():
        file.unlink()
    with pytest.raises(DataError, match=r"holds no \.xml file"):
        read_voc(voc.source())


@pytest.mark.parametrize("width", ["9" * 5_000, "9" * 19, "60.5", "1e3", "sixty"])
def test_a_size_that_no_image_has_is_refused(voc: Any, xml: Callable[..., str], width: str) -> None:
    voc.write("two", xml(("cat", (5, 6, 15, 26))).replace("<width>60", f"<width>{width}"))
    with pytest.raises(DataError, match=r"two\.xml: size/width must be a whole number of pixels"):
        read_voc(voc.source())


@pytest.mark.parametrize("width", ["", "0", "-1", " 0.0 "])
def test_a_size_that_is_none_is_unknown(voc: Any, xml: Callable[..., str], width: str) -> None:
    voc.write("two", xml(("cat", (5, 6, 15, 26))).replace("<width>60", f"<width>{width}"))
    assert read_voc(voc.source()).images[-1].width_px is None


@pytest.mark.parametrize(
    "line", ["one.png", "images/one", "images\\one.jpg", "one 1", "one\t-1", "one  0", "one.png 1", "/data/x/one.xml"]
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_list_is_taken_as_tools_write_it(voc: Any, line: str, encoding: str) -> None:
    source = voc.source("train")
    source.split.write_bytes(f"{line}\r\n{line}\r\n".encode(encoding))
    found = read_voc(source)
    assert [image.place for image in found.images] == ["one.xml"]
    assert [(remark.name, remark.count) for remark in found.remarks] == [("list-doubled", 1)]


def test_odd_suffixes_hidden_files_and_pictures_without_xml_are_counted(voc: Any, picture: Callable[..., None]) -> None:
    folder = voc.root / "Annotations"
    (folder / "._one.xml").write_bytes(b"\0\5\26\7Mac OS X")
    (folder / "one.xml").rename(folder / "one.XML")
    picture(voc.root / "JPEGImages" / "bare.png")
    found = read_voc(voc.source())
    assert len(found.images) == 3
    counted = {remark.name: (remark.count, remark.examples) for remark in found.remarks}
    assert counted == {"annotation-suffix": (1, ("one.XML",)), "images-without-annotation": (1, ("bare.png",))}


def test_a_rotated_box_becomes_the_upright_one_around_it(voc: Any) -> None:
    parts = "<cx>20</cx><cy>15</cy><w>10</w><h>4</h><angle>1.5707963267948966</angle>"
    voc.write("two", f"<annotation><object><name>cat</name><robndbox>{parts}</robndbox></object></annotation>")
    found = read_voc(voc.source())
    [box] = next(image for image in found.images if image.place == "two.xml").boxes
    assert box.corners == pytest.approx((18, 10, 22, 20))
    assert [remark.name for remark in found.remarks] == ["rotated-boxes"]


def test_a_doctype_alone_does_no_harm(voc: Any) -> None:
    voc.write("two", "<!DOCTYPE annotation><annotation><size/></annotation>")
    assert len(read_voc(voc.source()).images) == 3


def test_a_name_that_no_file_can_have_is_missing(voc: Any) -> None:
    voc.list("train", "x" * 300 + " 1")
    with pytest.raises(DataError, match="the annotation file"):
        read_voc(voc.source("train"))
