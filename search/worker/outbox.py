"""Results of a trial on their way to the database: JSON lines beside its checkpoint, on disk before anything else.

Each owner of the trial appends to a file of its own, named by the token of its lease; the next owner that sees the
folder takes over what the earlier ones could not deliver. Checkpoint and outbox travel together, so whatever the
checkpoint has passed is in the database or in here. A line that a death cut off is no entry; its result comes again.
"""

import contextlib
import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from detector.json_text import read_json
from trial.counts import COUNT_LIMIT
from trial.reports import RungReport, TelemetryPoint
from trial.verdict import Verdict

MOST_BYTES = 16 * 2**20  # figures beyond are dropped; evaluations and verdicts are few, and always kept

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Losses and health figures of some steps."""

    kind: Literal["figures"] = "figures"
    points: list[TelemetryPoint]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """A rung that was reached; `rung` is its nominal image count, equal for all trials."""

    kind: Literal["evaluation"] = "evaluation"
    rung: Annotated[int, Field(ge=0, lt=COUNT_LIMIT)]
    record: RungReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Crashes:
    """How many trainers were lost under the trial so far: counts, not steps, so that they may be written twice."""

    kind: Literal["crashes"] = "crashes"
    count: Annotated[int, Field(ge=0, lt=COUNT_LIMIT)] = 0
    hangs: Annotated[int, Field(ge=0, lt=COUNT_LIMIT)] = 0  # those among them that lived on, but made no step


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How the trial ended, or was interrupted."""

    kind: Literal["end"] = "end"
    verdict: Verdict


Entry = Figures | Evaluation | Crashes | End
_ADAPTER: TypeAdapter[Entry] = TypeAdapter(Annotated[Entry, Field(discriminator="kind")])


class Outbox:
    """The entries of one owner of one trial. For one thread."""

    def __init__(self, directory: Path, token: int) -> None:
        self._directory = directory
        self._token = token
        self._path = directory / f"outbox-{token:06d}.jsonl"
        self._dropped = 0

    def append(self, entry: Entry) -> None:
        """Put an entry on disk, to stay there whatever happens to this process or machine.

        A disk that takes no more is said aloud and otherwise no reason to stop: the entry is still in memory.
        """
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as file:
                if isinstance(entry, Figures) and file.tell() > MOST_BYTES:
                    self._drop()
                    return
                file.write(json.dumps(_ADAPTER.dump_python(entry, mode="json")).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            logger.error("%s: a result can't be kept on disk (%s); make room", self._path, error.strerror)

    def clear(self) -> None:
        """Forget what was delivered, of this owner and of those before."""
        for path in self._files():
            path.unlink(missing_ok=True)

    def discard(self) -> None:
        """Leave nothing of a trial that was never trained."""
        self.clear()
        with contextlib.suppress(OSError):  # it is not there, or an earlier owner's trainer left something
            self._directory.rmdir()

    def left_behind(self) -> list[Entry]:
        """What earlier owners put here and did not deliver, as far as they knew, oldest first."""
        return [entry for path in self._files() if path != self._path for entry in read_entries(path)]

    def _files(self) -> list[Path]:
        """Ours and our predecessors'; a successor's is none of our business."""
        return [path for path in sorted(self._directory.glob("outbox-*.jsonl")) if path.name <= self._path.name]

    def _drop(self) -> None:
        if not self._dropped:
            logger.warning("%s holds %d MiB: no more figures are kept until the database is back", self._path, 16)
        self._dropped += 1


def read_entries(path: Path) -> list[Entry]:
    """The whole entries of a file, in the order in which they were appended."""
    entries: list[Entry] = []
    for line in path.read_bytes().splitlines(keepends=True):
        parsed = _parsed(line)
        if parsed is None:
            logger.warning("%s: a line is torn or altered, and left out", path)
        else:
            entries.append(parsed)
    return entries


def _parsed(line: bytes) -> Entry | None:
    try:
        value: Any = read_json(line) if line.endswith(b"\n") else None
        return None if value is None else _ADAPTER.validate_python(value)
    except ValueError:
        return None
