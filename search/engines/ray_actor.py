"""What runs on a Ray node: an actor that starts the ordinary worker process, waits for it, and passes signals on.

The worker stays what it is elsewhere: a supervisor of its own, which Ray cannot block and which may outlive the actor
for a checkpoint. Nothing here imports Ray.
"""

import os
import socket
import time
from collections.abc import Mapping
from dataclasses import replace

from search.engines.devices import VISIBLE, memory_variables, with_device
from search.engines.handle import Job, ProcessHandle, WorkerExit, log_of
from search.exit_codes import ExitCode

POLL_S = 0.1


class WorkerActor:
    """One worker on the node where this is made, with a share of its GPUs, whole ones or none."""

    def __init__(self, job: Job, *, number: int, gpus: float) -> None:
        self._job = job
        self._number = number
        self._gpus = gpus
        self._process: ProcessHandle | None = None
        self._stopped = False

    def host(self) -> str:
        """The name of this node."""
        return socket.gethostname()

    def work(self) -> WorkerExit:
        """Run the worker to its end, and say how it ended."""
        try:
            self._process = ProcessHandle(
                self._job, log=log_of(self._job.folder, self._number), environment=self._variables()
            )
        except OSError as error:
            return WorkerExit(
                code=ExitCode.USER_MUST_ACT, said=f"on {self.host()}: {self._job.folder} cannot be used: {error}"
            )
        if self._stopped:
            self._process.stop()
        while (left := self._process.poll()) is None:
            time.sleep(POLL_S)
        return replace(left, said=left.said and f"on {self.host()}: {left.said}")

    def stop(self) -> None:
        """Pass a signal on: the first stops the worker cleanly, the second at once."""
        self._stopped = True
        if self._process is not None:
            self._process.stop()

    def _variables(self) -> dict[str, str]:
        return worker_variables(os.environ, gpus=self._gpus)


def worker_variables(environment: Mapping[str, str], *, gpus: float) -> dict[str, str]:
    """The environment of a worker: the node's, without what is Ray's, its token above all.

    Ray has chosen the devices; without any, the trainer must see none.
    """
    kept = {name: value for name, value in environment.items() if not name.startswith("RAY_")}
    device = memory_variables(min(1.0, gpus)) if gpus else {VISIBLE: ""}
    return with_device(kept, device)
