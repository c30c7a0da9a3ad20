"""Workers as processes of this machine, each pinned to one of its GPUs in turn."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import ClassVar

from search.engines.devices import variables_of_worker, visible_devices, with_device
from search.engines.handle import Job, ProcessHandle, WorkerHandle, log_of


class LocalExecutor:
    """An `Executor` (search/engines/handle.py) without anything between us and the processes."""

    on_this_machine: ClassVar[bool] = True

    @contextmanager
    def open(self, job: Job, workers: int, say: Callable[[str], None]) -> Iterator[Callable[[int], WorkerHandle]]:
        """As `Executor.open`."""
        devices = visible_devices()
        if workers > len(devices) > 0:
            say(f"{workers} workers share {len(devices)} GPU{'s' if len(devices) > 1 else ''}")
        checked = replace(job, options=("--checked", *job.options))  # code and data are the launch's own

        def start(number: int) -> WorkerHandle:
            variables = variables_of_worker(devices, number=number, workers=workers)
            environment = with_device(os.environ, variables)
            return ProcessHandle(checked, log=log_of(job.folder, number), environment=environment)

        yield start
