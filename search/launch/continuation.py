"""A study that goes on from another one's best trials, under a name of its own and with settings of its own."""

import shlex
from pathlib import Path

from detector.config import ConfigError, require
from search.report.ranking import ranking
from search.study.document import StudyFileError, parse_document
from search.study.study_file import Options, load_study_file, study_from, with_options
from search.study.text_edits import with_keys
from storage.connection.database import Database
from storage.study import find_study, read_trials

MOST_POINTS = 5


def write_continuation(file: Path, name: str) -> Path:
    """Write a study file beside the one given: the same, but for its name, and the first points that it tries are the
    best trials of the study that the file named so far.

    Raises:
        ConfigError: that study has no trial with a value, or the new file is there.
        StorageError, StorageUnavailable: the study can't be read.
    """
    specification = load_study_file(file)
    require(name != specification.name, f"--continue-as must name another study than {name!r}")
    try:
        with_options(specification, Options(name=name))
    except StudyFileError as error:
        raise ConfigError(str(error).replace("with --name: name:", "--continue-as")) from None
    new = file.with_name(f"{name}.yaml")
    with Database.open(specification.storage) as database:
        study = find_study(database, specification.name)
        best = [place.number for place in ranking(study) if place.rank is not None][:MOST_POINTS]
        trials = {trial.number: trial.params for trial in read_trials(study)}
    if not best:
        raise ConfigError(
            f"study {specification.name!r} has no trial with a value to go on from, and so nothing to lose: launch it "
            f"as it is, frcnn-search launch {shlex.quote(str(file))}"
        )
    points = [specification.space.nearest(trials[number]) for number in best]
    text = with_keys(file.read_text("utf-8-sig"), {"name": name, "first_points": points})
    continued = study_from(parse_document(text, str(new)), new)  # read back, before it is written
    if (continued.name, continued.first_points) != (name, tuple(points)):
        raise ConfigError(f"{file}: must hold `name` as a plain line to go on under another; write {new} by hand")
    try:
        with new.open("x", encoding="utf-8") as opened:
            opened.write(text)
    except FileExistsError:
        raise ConfigError(f"{new} is there; launch it: frcnn-search launch {new}") from None
    except OSError as error:
        raise StudyFileError(
            f"{new}: cannot be written ({error.strerror or error}); make its folder writable"
        ) from None
    return new
