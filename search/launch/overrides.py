"""What the command line of a launch said over the study file holds in later launches too, until the file changes there.

Kept with the study, each value with what the file said at that time: who edits the file has the last word.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from detector.config import ConfigError
from search.launch.compatibility import is_blank
from search.study.policy_section import Pruner, Sampler
from search.study.specification import Specification, specification_from_json
from search.study.study_file import Options, option_values, with_options
from storage.connection.address import Address
from storage.connection.database import Database
from storage.study import StoredStudy, find_study, read_specification, study_names

ATTRIBUTE = "overrides"  # of the study, in Optuna's tables


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """One option over the file's value."""

    value: Any
    in_file: Any  # what the file said then


Overrides = Mapping[str, Override]  # by the option's name
_OVERRIDES = TypeAdapter(dict[str, Override])


@dataclass(frozen=True, slots=True, kw_only=True)
class Overridden:
    """A study file with what command lines said over it, today or before."""

    specification: Specification
    overrides: Overrides
    recalled: tuple[str, ...]  # `--canvas 96x128`, of earlier launches
    defaults_of_then: tuple[str, ...] = ()  # `sampler.name tpe`, which a file of today's defaults would change


@dataclass(frozen=True, slots=True, kw_only=True)
class _Earlier:
    """What a study has from earlier launches."""

    overrides: Overrides = field(default_factory=dict)
    begun: Specification | None = None  # with trials; None: nothing would be lost


def over_file(file: Specification, given: Options) -> Overridden:
    """The specification with the options over the file's values: those given, and those of earlier launches that the
    file was not changed for since. A canvas that the file leaves to data and machine is the one that the study has; so
    are sampler and pruner where the file has today's defaults, which were others when the study began.

    Raises:
        StudyFileError: an option's value breaks a rule of the study file.
        StorageError, StorageUnavailable: the database can't be read.
    """
    earlier = _earlier(file)
    file, defaults_of_then = _by_defaults_of_then(file, earlier.begun)
    in_file = option_values(file)
    named = {key: value for key, value in asdict(given).items() if value is not None}
    holds = {
        key: each.value
        for key, each in earlier.overrides.items()
        if key not in named and key in in_file and each.in_file == in_file[key]
    }
    options = Options(**(holds | named))
    specification = with_options(file, options)
    values = option_values(specification)
    if specification.detector.canvas is None and earlier.begun is not None:
        canvas = earlier.begun.detector.canvas
        specification = replace(specification, detector=replace(specification.detector, canvas=canvas))
    return Overridden(
        specification=specification,
        overrides={
            key: Override(value=values[key], in_file=in_file[key])
            for key in (*holds, *named)
            if key in in_file and values[key] != in_file[key]
        },
        recalled=tuple(f"--{key} {value}" for key, value in holds.items()),
        defaults_of_then=defaults_of_then,
    )


def keep_overrides(study: StoredStudy, overrides: Overrides) -> None:
    """Keep these with the study, in place of earlier ones."""
    with study.database.guarded():
        study.database.optuna.set_study_user_attr(study.id, ATTRIBUTE, _OVERRIDES.dump_python(dict(overrides)))


def _by_defaults_of_then(file: Specification, begun: Specification | None) -> tuple[Specification, tuple[str, ...]]:
    """The file with the sampler and the pruner of the study's beginning in place of today's defaults, and which."""
    if begun is None:
        return file, ()
    kept: list[str] = []
    if file.sampler.name is Sampler().name is not begun.sampler.name:
        file = replace(file, sampler=replace(file.sampler, name=begun.sampler.name))
        kept.append(f"sampler.name {begun.sampler.name}")
    if file.pruner == Pruner() != begun.pruner:
        file = replace(file, pruner=begun.pruner)
        kept.append(f"pruner.name {begun.pruner.name}")
    return file, tuple(kept)


def _earlier(file: Specification) -> _Earlier:
    """What there is; a database that isn't there yet is not made."""
    if (path := Address.parse(file.storage).path) is not None and not path.is_file():
        return _Earlier()
    with Database.open(file.storage) as database:
        if file.name not in study_names(database):
            return _Earlier()
        study = find_study(database, file.name)
        begun = None if is_blank(study) else _begun(study, file.storage)
        with database.guarded():
            stored = database.optuna.get_study_user_attrs(study.id).get(ATTRIBUTE, {})
    try:
        return _Earlier(overrides=_OVERRIDES.validate_python(stored), begun=begun)
    except ValidationError:  # somebody else's attribute of that name
        return _Earlier(begun=begun)


def _begun(study: StoredStudy, storage: str) -> Specification | None:
    """What it was begun with, as far as this program understands it."""
    try:
        return specification_from_json(read_specification(study) or {}, storage=storage)
    except ConfigError:
        return None
