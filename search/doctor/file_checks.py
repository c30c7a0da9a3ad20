"""Checks of files: what can't be used, odd pixels, the same picture twice, pictures of both splits."""

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from detector.config import Canvas
from detector.data.checked_image import CheckedImage
from detector.data.dataset import Dataset, Image
from detector.data.formats.annotation import OF_ONE_IMAGE, DataError, Defect, Fault
from detector.data.image_cache import read_scaled
from detector.data.survey import Survey
from search.doctor.diagnostic import Diagnostic, Level, first_few, located
from search.study.data_section import Data, OnBadImage

MOST_DECODED = 300  # pictures whose pixels are looked at, spread evenly; a few seconds
BLANK_LEVELS = 2.0  # standard deviation, of 255, below which a picture shows nothing

ADVICE = {
    Fault.ANNOTATION_FILE: "correct or export the annotation file again",
    Fault.UNKNOWN_CATEGORY: "map every category_id to an entry of `categories`; they need not be contiguous",
    Fault.CLASS_MISMATCH: "use the same class names in training and validation data",
    Fault.COORDINATE_ORDER: "convert the boxes to what the format asks for",
    Fault.IMAGE_PATH: "name images relative to the image folder, and keep them inside of it",
    Fault.IMAGE_MISSING: "add the files, or remove their annotations",
    Fault.IMAGE_UNREADABLE: "replace the files, or remove them with their annotations",
    Fault.IMAGE_TOO_LARGE: "cut the images into tiles",
    Fault.IMAGE_SIZE: "annotate the images as they are, or restore those that were annotated; boxes are misplaced",
    Fault.EXIF_ROTATION: "set `exif: stored` in the section `data`, which reads pictures as they lie in the files",
    Fault.LISTED_TWICE: "merge the two entries of the same file",
    Fault.LEAKAGE: "remove the images from one of the splits",
    Fault.NO_BOXES: "annotate objects, or look why every box was dropped",
    Fault.UNUSABLE: "follow the message",
}


def check_defects(survey: Survey, data: Data) -> Iterator[Diagnostic]:
    """One diagnostic for each kind of defect: an error, unless `launch` leaves such images out."""
    by_fault: dict[Fault, list[Defect]] = defaultdict(list)
    for defect in survey.defects:
        by_fault[defect.fault].append(defect)
    for fault, found in by_fault.items():
        yield from located(
            (defect.file for defect in found),
            name=fault.value,
            level=_level(fault, survey, data),
            message=found[0].message if len(found) == 1 else f"{len(found)} times; the first: {found[0].message}",
            advice=_advice(fault, survey, data),
        )


def _level(fault: Fault, survey: Survey, data: Data) -> Level:
    skipped = fault in OF_ONE_IMAGE and data.on_bad_image is OnBadImage.SKIP and _bad_are_few(survey, data)
    return Level.WARNING if skipped else Level.ERROR


def _advice(fault: Fault, survey: Survey, data: Data) -> str:
    if fault not in OF_ONE_IMAGE:
        return ADVICE[fault]
    if data.on_bad_image is OnBadImage.REFUSE:
        return f"{ADVICE[fault]}, or set `on_bad_image: skip` in the section `data` of a study file"
    if _bad_are_few(survey, data):
        return "nothing, if they may be left out, as `data.on_bad_image` says"
    return f"{ADVICE[fault]}, or raise `data.most_bad_share`, which is {data.most_bad_share:g}"


def _bad_are_few(survey: Survey, data: Data) -> bool:
    return all(data.bad_are_few(split.bad, of=split.bad + len(split.checked)) for split in survey.splits)


def check_files(survey: Survey, canvas: Canvas | None, data: Data) -> Iterator[Diagnostic]:
    """What headers, contents and, on a canvas, some of the pixels show."""
    yield from _stored_forms(survey.checked)
    yield from _turned(survey.checked)
    yield from _copies(survey)
    if canvas is not None:
        yield from _pixels(
            [image for part in (survey.train, survey.validation) if part for image in part.images], canvas, survey, data
        )


def _stored_forms(checked: Sequence[CheckedImage]) -> Iterator[Diagnostic]:
    deep = [image for image in checked if image.header.mode.startswith(("I", "F"))]
    yield from located(
        (image.entry.file_name for image in deep),
        name="deep-pixels",
        level=Level.WARNING,
        message=f"{len(deep)} of {len(checked)} images have more than 8 bits, and each is scaled by its brightest",
        advice="convert them to 8 bits yourself, all by the same rule, so that brightness means the same in each",
    )
    halved = [image for image in checked if image.header.mode.endswith("/16")]
    yield from located(
        (image.entry.file_name for image in halved),
        name="deep-pixels",
        level=Level.WARNING,
        message=f"{len(halved)} of {len(checked)} images have 16 bits a colour, of which the upper 8 are read",
        advice="convert them to 8 bits yourself: of a camera of 12 bits no more than 4 are left that way",
    )
    clear = [image for image in checked if image.header.mode in {"LA", "La", "PA", "RGBA", "RGBa"}]
    yield from located(
        (image.entry.file_name for image in clear),
        name="transparent-images",
        level=Level.NOTE,
        message=f"{len(clear)} of {len(checked)} images have an alpha channel; it is laid over a neutral colour",
        advice="nothing, if the transparent parts hold no object",
    )
    grey = [image for image in checked if image.header.mode in {"1", "L", "LA", "La"}]
    mixed = len(grey) < len(checked)
    yield from located(
        (image.entry.file_name for image in grey),
        name="mixed-colour" if mixed else "grey-images",
        level=Level.WARNING if mixed else Level.NOTE,
        message=f"{len(grey)} of {len(checked)} images are grey; they become RGB with three equal channels",
        advice="look whether grey and colour come with different classes: the detector would learn that instead"
        if mixed
        else "fix augmentation_hue and augmentation_saturation at 0: without colour they do nothing",
    )


def _turned(checked: Sequence[CheckedImage]) -> Iterator[Diagnostic]:
    turned = [image for image in checked if image.header.turned]
    undecided = [image for image in turned if not _is_decided(image)]
    yield from located(
        (image.entry.file_name for image in undecided),
        name="exif-unstated",
        level=Level.WARNING,
        message=f"EXIF turns or mirrors {len(undecided)} images; no stated size says if their boxes were turned, too",
        advice="look at one of them with `--pictures`; if boxes lie wrong, set `exif: stored` in the section `data`, "
        "which reads pictures as they lie in the files, or remove the orientation from their EXIF "
        "(`exiftool -Orientation= -overwrite_original`)",
    )
    if len(turned) > len(undecided):
        decided = [image for image in turned if _is_decided(image)]
        yield from located(
            (image.entry.file_name for image in decided),
            name="exif-turned",
            level=Level.NOTE,
            message=f"EXIF turns {len(decided)} images; they are read upright, as which their annotations fit",
            advice="nothing here; tools that ignore EXIF would misplace these boxes",
        )


def _is_decided(image: CheckedImage) -> bool:
    """Whether the stated size fits the upright picture only."""
    stated = image.entry.width_px is not None and image.entry.height_px is not None
    return image.header.rotated and stated and image.header.width_px != image.header.height_px


def _copies(survey: Survey) -> Iterator[Diagnostic]:
    """The same content under two names, within a split and across the two."""
    for name, dataset in (("training", survey.train), ("validation", survey.validation)):
        groups = _by_content(dataset)
        copies = [images for images in groups.values() if len(images) > 1]
        if copies:
            yield Diagnostic(
                name="duplicate-images",
                level=Level.WARNING,
                message=f"{len(copies)} {name} images are there more than once, byte for byte, under different names",
                advice="keep one of each; copies weigh more in training and in AP",
                count=sum(len(images) - 1 for images in copies),
                examples=first_few(" = ".join(image.name for image in images[:3]) for images in copies),
            )
    train, validation = _by_content(survey.train), _by_content(survey.validation)
    refused = any(defect.fault is Fault.LEAKAGE for defect in survey.defects)
    shared = [(train[digest][0], validation[digest][0]) for digest in validation if digest in train]
    if shared and not refused:
        yield from located(
            (f"{one.name} = {other.name}" for one, other in shared),
            name="train-validation-copies",
            level=Level.WARNING,
            message=f"{len(shared)} validation images are also training images, byte for byte, under another name",
            advice="remove them from one of the splits: AP on them is too good",
        )


def _by_content(dataset: Dataset | None) -> dict[str, list[Image]]:
    groups: dict[str, list[Image]] = defaultdict(list)
    for image in dataset.images if dataset else ():
        groups[image.digest].append(image)
    return groups


def _pixels(images: Sequence[Image], canvas: Canvas, survey: Survey, data: Data) -> Iterator[Diagnostic]:
    """Decodes some of the images at the canvas's scale."""
    chosen = [images[i] for i in np.unique(np.linspace(0, len(images) - 1, MOST_DECODED).astype(int))] if images else []

    def contrast(image: Image) -> float | str:
        try:
            return float(read_scaled(image, canvas).std())
        except DataError as error:
            return str(error)

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        seen = list(zip(chosen, pool.map(contrast, chosen), strict=True))
    broken = [(image, result) for image, result in seen if isinstance(result, str)]
    of = f"of the {len(seen)} images that were decoded" if len(seen) < len(images) else f"of {len(seen)} images"
    if broken:
        yield from located(
            (image.name for image, _ in broken),
            name=Fault.IMAGE_UNREADABLE.value,
            level=_level(Fault.IMAGE_UNREADABLE, survey, data),
            message=f"{len(broken)} {of} are truncated or corrupt; the first: {broken[0][1]}",
            advice=_advice(Fault.IMAGE_UNREADABLE, survey, data),
        )
    blank = [image for image, result in seen if isinstance(result, float) and result < BLANK_LEVELS]
    boxed = sum(1 for image in blank if len(image.boxes))
    yield from located(
        (image.name for image in blank),
        name="blank-images",
        level=Level.WARNING if boxed else Level.NOTE,
        message=f"{len(blank)} {of} are of one colour; {boxed} of those have boxes",
        advice="remove them, or look why their pixels are lost",
    )
