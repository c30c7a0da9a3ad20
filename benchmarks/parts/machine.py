"""Where and with what a figure was taken. Loads no backend: the script says which one it measured."""

import os
import platform
import shlex
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil  # type: ignore[import-untyped]

GIB = 2**30
_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A machine, the versions on it, the code, and the command that was run there."""

    cpu: str
    cores: int  # that this process may use
    memory_gib: float
    backend: str
    device: str  # the accelerator, or `CPU`
    versions: dict[str, str]
    commit: str | None  # with `-changed` where the code is not as committed; None: this is no Git checkout
    date: str
    command: str

    @classmethod
    def here(cls, *, backend: str, device: str, script: str, libraries: tuple[str, ...] = ()) -> "Machine":
        """This machine now; `script` is the module that was started, with the arguments of this process.

        `libraries` are those whose versions matter, where they are not Keras and its backend.
        """
        names = libraries or ("keras", backend, "numpy")
        return cls(
            cpu=_cpu(),
            cores=_cores(),
            memory_gib=psutil.virtual_memory().total / GIB,
            backend=backend,
            device=device,
            versions={"python": platform.python_version(), **{name: version(name) for name in names}},
            commit=commit_of(_ROOT),
            date=datetime.now(UTC).date().isoformat(),
            command=shlex.join(["python", "-m", script, *sys.argv[1:]]),
        )

    def lines(self) -> tuple[str, ...]:
        """Sentences for below a table."""
        versions = ", ".join(f"{name} {number}" for name, number in self.versions.items())
        chosen = f"KERAS_BACKEND={self.backend} " if "keras" in self.versions else ""
        return (
            f"Machine: {self.cpu}, {self.cores} cores, {self.memory_gib:.0f} GiB; accelerator: "
            f"{'none' if self.device == 'CPU' else self.device}",
            f"Backend: {self.backend} ({versions})",
            f"Measured {self.date} by `{chosen}{self.command}`",
        )


def commit_of(folder: Path) -> str | None:
    """The folder's commit, with `-changed` where a Python file differs from it; None outside of a Git checkout."""
    git = ["git", "-C", str(folder)]
    try:
        head = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run([*git, "status", "--porcelain", "--", "*.py"], capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.stdout.strip() + ("-changed" if changed else "")


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cpu() -> str:
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
