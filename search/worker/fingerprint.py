"""What must be equal on all machines of a study, beside its specification: the code and the data.

Kept as user attributes of the Optuna study, where the dashboard shows them too. Trials of another version of the code,
or on other images, could not be compared with those that are there.
"""

import hashlib
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

from detector.config import ConfigError
from search.study.specification import Specification
from storage.study import StoredStudy

#: What can move a trial: the other rooms show, launch, place and export.
_ROOMS = (
    *("detector", "spaces", "storage", "trial"),
    *("search/plan.py", "search/policy", "search/study", "search/trainer", "search/worker"),
)
_ATTRIBUTES = {"code": "code version", "data": "dataset fingerprint"}


class OtherData(ConfigError):
    """A study was begun on other data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """One machine's view of a study."""

    code: str  # the package's version and a digest of its sources
    data: str  # sha256 over annotations and images, wherever they lie; empty where no data is read

    @classmethod
    def here(cls, specification: Specification) -> "Identity":
        """The identity of this machine. Reads every image.

        Raises:
            ConfigError: the data cannot be used.
        """
        return cls(code=code_version(), data=_fingerprint(specification))

    def differences(self, other: "Identity") -> list[str]:
        """One line for each value that differs: `code version: A was stored, B is here`."""
        mine, theirs = asdict(self), asdict(other)
        return [
            f"{name}: {mine[key] or '(none)'} was stored, {theirs[key] or '(none)'} is here"
            for key, name in _ATTRIBUTES.items()
            if mine[key] != theirs[key]
        ]


@cache
def code_version() -> str:
    """Version and digest of the code that runs, e.g. `0.1.0+1f2e3d4c5b6a`."""
    return f"{version('frcnn-search')}+{digest_of(Path(__file__).resolve().parents[2])}"


def digest_of(home: Path) -> str:
    """A digest of the sources in that folder that can move a trial."""
    digest = hashlib.sha256()
    for file in sorted(path for room in _ROOMS for path in (*home.glob(room), *home.glob(f"{room}/**/*.py"))):
        if file.is_file():
            digest.update(file.relative_to(home).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:12]


def read_identity(study: StoredStudy) -> Identity | None:
    """The identity that the last launch stored, or None from before there was one."""
    with study.database.guarded():
        stored = study.database.optuna.get_study_user_attrs(study.id)
    if not set(_ATTRIBUTES.values()) <= set(stored):
        return None
    return Identity(**{key: str(stored[name]) for key, name in _ATTRIBUTES.items()})


def keep_identity(study: StoredStudy, identity: Identity) -> None:
    """Make this the study's identity. Newer code may go on with a study, other data may not.

    Raises:
        OtherData: the study was begun on other data.
    """
    stored = read_identity(study)
    if stored is not None and stored.data != identity.data:
        raise OtherData(_refusal(study, stored.differences(identity)))
    with study.database.guarded():
        for key, name in _ATTRIBUTES.items():
            study.database.optuna.set_study_user_attr(study.id, name, asdict(identity)[key])


def require_identity(study: StoredStudy, specification: Specification) -> None:
    """Return if code and data of this machine are the study's. The code is compared before any image is read.

    Raises:
        ConfigError: they differ; the message says in what.
    """
    stored = read_identity(study)
    if stored is None:
        return
    differing = stored.differences(Identity(code=code_version(), data=stored.data))
    differing = differing or stored.differences(Identity.here(specification))
    if differing:
        raise ConfigError(_refusal(study, differing))


def _refusal(study: StoredStudy, differing: list[str]) -> str:
    return (
        f"study {study.name!r} in {study.database.label} was begun elsewhere with other code or data:\n  "
        + "\n  ".join(differing)
        + "\nIts trials could not be compared with this machine's; bring the same here (--data-root names where the "
        "same data lies), or choose another study"
    )


def _fingerprint(specification: Specification) -> str:
    if specification.trainer != "detector":  # no data is read
        return ""
    return pair_fingerprint(
        *(dataset.fingerprint for dataset in specification.data.load(seed=specification.sampler.seed))
    )


def pair_fingerprint(training: str, validation: str) -> str:
    """One fingerprint for training and validation data."""
    return hashlib.sha256(f"{training}\n{validation}".encode()).hexdigest()
