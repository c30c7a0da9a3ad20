"""The weights that a new study begins with where nobody names any: the best that can be had on this machine.

FRCNN_WEIGHTS   what it begins with instead; then nothing is looked for
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from detector.config import BackboneName, ConfigError, NamedWeights
from detector.setup import Progress
from detector.weight_files.download.keras_download import has_imagenet
from detector.weight_files.download.model_zoo import cached_file, coco_file, is_whole
from search.terminal import PlainConsole, progress_bar

VARIABLE = "FRCNN_WEIGHTS"
WITHOUT = (
    "every trial learns all that it knows from your images, which short trials only manage on easy data; to begin "
    "elsewhere, name --weights"
)


def first_weights(backbone: BackboneName, console: PlainConsole, *, environment: Mapping[str, str] = os.environ) -> str:
    """COCO's where they are here or can be fetched, which is done; else ImageNet's, else none. A line says which, and
    why none better. A network that is silent costs seconds.
    """
    if named := environment.get(VARIABLE):
        console.print(f"weights: {named} (by {VARIABLE})")
        return named
    try:
        came = _came(backbone, console)
    except ConfigError as error:
        reason = str(error).partition("; ")[0]
    else:
        console.print(f"weights: {NamedWeights.COCO} ({came}); --weights names others")
        return NamedWeights.COCO
    if has_imagenet(backbone):
        console.print(f"weights: {NamedWeights.IMAGENET} ({reason}); --weights names others")
        return NamedWeights.IMAGENET
    console.print(f"weights: {NamedWeights.NONE} ({reason}); {WITHOUT}")
    return NamedWeights.NONE


def _came(backbone: BackboneName, console: PlainConsole) -> str:
    """How the COCO weights came here: `found in FILE`, or `fetched into FILE`."""
    if is_whole(path := cached_file(backbone)):
        return f"found in {path}"
    with _shown(console) as progress:
        return f"fetched into {coco_file(backbone, progress)}"


@contextmanager
def _shown(console: PlainConsole) -> Iterator[Progress]:
    """A bar, where somebody looks."""
    with progress_bar(console) as bar:
        task = bar.add_task("fetching the COCO weights", total=None)
        yield lambda what, done, of: bar.update(task, completed=done, total=of)
