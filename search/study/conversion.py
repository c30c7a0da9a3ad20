"""`frcnn-search convert`: a dataset in another format."""

import tempfile
from pathlib import Path

from rich.console import Console

from detector.config import ConfigError
from detector.data.conversion import WRITERS, convert
from detector.data.formats.annotation import BadImages
from detector.data.record_folder import record_files, unpack
from detector.data_source import DataFormat, Exif
from search.study.named_data import named_data
from search.terminal import progress_bar


def run_conversion(data: Path, to: str, output: Path, console: Console) -> None:
    """Write the data in that format, show how far it is, and say what was written.

    `data` is a folder, a file of annotations, or a study file, whose section `data` counts. Bad images that it skips
    are left out and named, however many they are.

    Raises:
        ConfigError: no such format, unusable data, or an output folder that isn't empty.
    """
    known = [str(each) for each in WRITERS]
    if to not in known:
        raise ConfigError(f"--to must be one of {', '.join(known)}, but is {to!r}")
    with tempfile.TemporaryDirectory() as folder, progress_bar(console) as progress:
        section = named_data(unpack(data, Path(folder) / "unpacked") if record_files(data) else data)
        task = progress.add_task("images copied", total=None)

        def update(count: int, total: int) -> None:
            progress.update(task, completed=count, total=total)

        while True:
            try:
                done = convert(*section.sources(), to=DataFormat(to), output=output, progress=update)
                break
            except BadImages as bad:
                section = section.without(bad)
                console.print(str(bad))
            except OSError as error:
                why = error.strerror or error
                raise ConfigError(f"{output}: can't be written ({why}); make room, or name another folder") from error
    console.print(f"wrote {done.images} images with {done.boxes} boxes to {output}")
    if done.dropped:
        console.print(f"left out: {done.dropped} boxes without a usable size, or outside their image")
    if section.exif is Exif.STORED:
        console.print("the copies keep their EXIF: read them with `exif: stored`, too")
    if done.crowds_left_out:
        console.print(f"left out: {done.crowds_left_out} crowds, for which {to} has no mark")
