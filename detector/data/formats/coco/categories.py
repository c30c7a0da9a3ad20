"""What COCO's categories say about each other: which are headings, which are unknown, which bear the same name."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from detector.data.formats.annotation import DataError, Key

BACKGROUND = frozenset({"background", "_background_", "__background__", "__ignore__", "_ignore_"})


def in_order(categories: Mapping[Key, str]) -> dict[Key, str]:
    """The same with numbers in increasing order, then texts as they came."""
    numbers: list[Key] = [*sorted(number for number in categories if isinstance(number, int))]
    texts: list[Key] = [text for text in categories if isinstance(text, str)]
    return {key: categories[key] for key in numbers + texts}


def headings_of(categories: Mapping[Key, str], parents: Mapping[Key, str], used: set[Key]) -> list[Key]:
    """Categories without a box that are no class: another's supercategory, another's name, or the background.

    Roboflow's first category is the project, and labelme2coco's the background.
    """
    times = Counter(categories.values())
    above = {parent for number, parent in parents.items() if categories[number] != parent}
    found: list[Key] = []
    for number, name in categories.items():
        if number in used:
            continue
        if name in above or name.casefold() in BACKGROUND or times[name] > 1:
            found.append(number)
            times[name] -= 1
    return found if len(found) < len(categories) else []


def refuse_same_names(categories: Mapping[Key, str], file: Path) -> None:
    """Raise `DataError` if two categories have one name."""
    twice = [name for name, times in Counter(categories.values()).items() if times > 1]
    if twice:
        raise DataError(
            f"{file}: category name {twice[0]!r} occurs twice, and boxes name both; merge or rename the categories"
        )


def unknown_categories(first: Key, count: int, known: set[Key], used: set[Key]) -> str:
    """What the first unknown id is, how many boxes have one, and whether the labels look off by one."""
    numbers = sorted(number for number in known if isinstance(number, int))
    texts = sorted(text for text in known if isinstance(text, str))
    message = f"category_id: unknown category id {first}; known are {', '.join(map(str, (*numbers, *texts)[:20]))}"
    if count > 1:
        message += f"; {count} boxes have an unknown id"
    for shift, verb in ((-1, "subtracted"), (1, "added")):
        if all(isinstance(number, int) and number + shift in known for number in used):
            message += f"; all would be known if 1 were {verb}: off by one?"
            break
    return message
