"""The options that name a configuration of another framework."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from detector.config import ConfigError

if TYPE_CHECKING:
    from search.imports.importing import Source

THEIRS = "A configuration of another framework"

TheirFile = Annotated[
    Path | None,
    typer.Option(
        "--from",
        metavar="FILE",
        rich_help_panel=THEIRS,
        help="Detectron2's YAML, MMDetection's flattened .py (read, never run), pipeline.config, Model Garden's YAML, "
        "or the JSON of `describe` for torchvision.",
    ),
]
FromFormat = Annotated[
    str | None,
    typer.Option(
        "--from-format",
        metavar="FORMAT",
        rich_help_panel=THEIRS,
        help="detectron2, mmdet, torchvision, tf-od or tfm (default: by its content).",
    ),
]
Gpus = Annotated[
    int | None,
    typer.Option(
        "--gpus",
        min=1,
        rich_help_panel=THEIRS,
        help="GPUs that it trains on, where the file counts images for each (default: 1).",
    ),
]


def their_source(file: Path | None, from_format: str | None, gpus: int | None) -> "Source | None":
    """What the options say, or None where no file is named.

    Raises:
        ConfigError: there is no such format, or an option stands without its file.
    """
    from search.imports.framework import Framework
    from search.imports.importing import Source

    if file is None:
        useless = [name for name, value in (("--from-format", from_format), ("--gpus", gpus)) if value is not None]
        if useless:
            raise ConfigError(f"{' and '.join(useless)} must come with --from FILE")
        return None
    known = [str(each) for each in Framework]
    if from_format is not None and from_format not in known:
        raise ConfigError(f"--from-format must be one of {', '.join(known)}, but is {from_format!r}")
    return Source(file=file, framework=Framework(from_format) if from_format else None, gpus=gpus or 1)
