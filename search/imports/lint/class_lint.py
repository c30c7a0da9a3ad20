"""Whether their head counts the classes that the data has, and their file names them."""

from collections.abc import Iterator

from search.doctor.diagnostic import Level
from search.imports.imported import Imported
from search.imports.lint.finding import Finding, Mend, finding
from search.imports.lint.ground import Ground

MOST_NAMED = 8


def check_their_classes(imported: Imported, ground: Ground) -> Iterator[Finding]:
    """Findings about the number of classes and their names."""
    yield from _count(imported, len(ground.classes))
    yield from _names(imported, ground.classes)


def _count(imported: Imported, classes: int) -> Iterator[Finding]:
    background = int(imported.counts_background)
    wanted, wish = classes + background, imported.classes
    counted = f"{classes} and the background" if background else f"{classes}; the background is not counted"
    if wish.value < wanted:
        forgotten = " (the background was forgotten?)" if background and wish.value == classes else ""
        yield finding(
            "class-count", Level.ERROR, wish,
            f"is {wish.value}, but the data has {counted}: labels beyond it break training, or count as "
            f"background{forgotten}",
            f"write {wanted}", mends=[Mend(wish="classes", value=wanted)],
        )  # fmt: skip
    elif wish.value > wanted:
        added = " (the background was added?)" if not background and wish.value == classes + 1 else ""
        yield finding(
            "class-count", Level.WARNING, wish,
            f"is {wish.value}, but the data has {counted}{added}: outputs stay without an example, and label maps of "
            "other tools may shift",
            f"write {wanted}", mends=[Mend(wish="classes", value=wanted)],
        )  # fmt: skip


def _names(imported: Imported, classes: tuple[str, ...]) -> Iterator[Finding]:
    names, needed = imported.class_names, imported.names_needed
    listed = ", ".join(map(repr, classes[:MOST_NAMED])) + (", …" if len(classes) > MOST_NAMED else "")
    advice, mends = f"write ({listed},)", [Mend(wish="class_names", value=classes)]
    if names is None or not names.value:
        if needed is not None and needed.value:
            yield finding(
                "class-names-missing", Level.ERROR, needed,
                "names no classes, so the dataset's own (COCO's) are looked for: every box of others is dropped, and "
                "training goes on with none",
                advice, mends=mends,
            )  # fmt: skip
        return
    unknown = [name for name in names.value if name not in classes]
    if unknown:
        yield finding(
            "class-names", Level.ERROR, names,
            f"names {', '.join(map(repr, unknown[:MOST_NAMED]))}, which the data doesn't have: boxes of other names "
            "are dropped",
            advice, mends=mends,
        )  # fmt: skip
    elif missing := [name for name in classes if name not in names.value]:
        yield finding(
            "class-names", Level.WARNING, names,
            f"leaves out {', '.join(map(repr, missing[:MOST_NAMED]))}: their boxes are dropped, and become background",
            advice, mends=mends,
        )  # fmt: skip
