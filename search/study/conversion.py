"""`frcnn-search convert`: a dataset in another format."""

import tempfile
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from detector.config import ConfigError
from detector.data.conversion import WRITERS, convert
from detector.data.layout import find_sources
from detector.data.record_folder import record_files, unpack
from detector.data_source import DataFormat


def run_conversion(data: Path, to: str, output: Path, console: Console) -> None:
    """Write the data of the folder in that format, show how far it is, and say what was written.

    Raises:
        ConfigError: no such format, unusable data, or an output folder that isn't empty.
    """
    known = [str(each) for each in WRITERS]
    if to not in known:
        raise ConfigError(f"--to must be one of {', '.join(known)}, but is {to!r}")
    bar = Progress(console=console, transient=True, disable=not console.is_terminal)
    with tempfile.TemporaryDirectory() as folder, bar as progress:
        train, validation = find_sources(unpack(data, Path(folder) / "unpacked") if record_files(data) else data)
        task = progress.add_task("images copied", total=None)
        done = convert(
            train,
            validation,
            to=DataFormat(to),
            output=output,
            progress=lambda count, total: progress.update(task, completed=count, total=total),
        )
    console.print(f"wrote {done.images} images with {done.boxes} boxes to {output}")
    if done.dropped:
        console.print(f"left out: {done.dropped} boxes without a usable size, or outside their image")
    if done.crowds_left_out:
        console.print(f"left out: {done.crowds_left_out} crowds, for which {to} has no mark")
