"""Reads a dataset as `detector.data.dataset` does, but goes on after a fault and lists them all.

What `load_pair` would refuse is a defect here, and the other way round: both are made of the same checks.
"""

from dataclasses import dataclass

from detector.data.checked_image import (
    CheckedImage,
    check_images,
    read_annotations,
    refuse_confusion,
    refuse_unknown_classes,
)
from detector.data.dataset import Dataset, assemble
from detector.data.formats.annotation import OF_ONE_IMAGE, Annotations, DataError, Defect, Fault
from detector.data.pair import refuse_leakage, split
from detector.data_source import DataSource


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SplitSurvey:
    """What could be read of one split; `dataset` has the images that are usable, and is None if nothing is."""

    checked: tuple[CheckedImage, ...] = ()
    dataset: Dataset | None = None
    defects: tuple[Defect, ...] = ()

    @property
    def bad(self) -> int:
        """Images that alone are to blame."""
        return sum(defect.fault in OF_ONE_IMAGE for defect in self.defects)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Survey:
    """Training and validation data. Where the first has no second, `held_out` was split off."""

    splits: tuple[SplitSurvey, ...]  # training, then validation where it is a source of its own
    train: Dataset | None
    validation: Dataset | None
    further: tuple[Defect, ...] = ()  # of the two together

    @property
    def held_out(self) -> bool:
        return len(self.splits) == 1

    @property
    def checked(self) -> tuple[CheckedImage, ...]:
        return tuple(image for split in self.splits for image in split.checked)

    @property
    def defects(self) -> tuple[Defect, ...]:
        return (*(defect for split in self.splits for defect in split.defects), *self.further)


def survey_pair(train: DataSource, validation: DataSource | None, *, share: float, seed: int) -> Survey:
    """Everything that can be read of the two, and every defect; arguments as for `load_pair`. Raises nothing."""
    splits = [survey_split(train)]
    train_set, validation_set = splits[0].dataset, None
    further: list[Defect] = []
    try:
        if validation is not None:
            splits.append(survey_split(validation, classes=train_set.classes if train_set else None))
            validation_set = splits[1].dataset
            if train_set and validation_set:
                refuse_leakage(train_set, validation_set)
        elif train_set is not None:
            train_set, validation_set = split(train_set, share=share, seed=seed)
    except DataError as error:
        further.append(_defect(error, validation or train))
    return Survey(splits=tuple(splits), train=train_set, validation=validation_set, further=tuple(further))


def survey_split(source: DataSource, *, classes: tuple[str, ...] | None = None) -> SplitSurvey:
    """One split; with `classes` its labels follow them by name. Raises nothing."""
    try:
        annotations = read_annotations(source)
    except DataError as error:
        fault = Fault.ANNOTATION_FILE if error.fault is Fault.UNUSABLE else error.fault
        return SplitSurvey(defects=(_defect(error, source, fault=fault),))
    names = classes or tuple(annotations.categories.values())
    try:
        refuse_unknown_classes(annotations, names, source)
        checked, found = check_images(annotations.images, source)
    except DataError as error:
        return SplitSurvey(defects=(_defect(error, source),))
    dataset, further = _assembled(annotations, checked, names, source)
    return SplitSurvey(checked=tuple(checked), dataset=dataset, defects=(*found, *further))


def _assembled(
    annotations: Annotations, checked: list[CheckedImage], names: tuple[str, ...], source: DataSource
) -> tuple[Dataset | None, tuple[Defect, ...]]:
    """The dataset unless its boxes make no sense, and what is wrong then; nothing more where no image is usable."""
    if not checked:
        return None, ()
    try:
        refuse_confusion(checked, source)
        return assemble(annotations, checked, names, source), ()
    except DataError as error:
        return None, (_defect(error, source),)


def _defect(error: DataError, source: DataSource, *, fault: Fault | None = None) -> Defect:
    return Defect(fault=fault or error.fault, file=source.annotations.name, message=str(error))
