"""Workers as processes of this machine, each pinned to one of its GPUs in turn."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from search.engines.devices import variables_of_worker, visible_devices, with_device
from search.engines.handle import Job, ProcessSeat, Seat, log_of


class LocalEngine:
    """An `Engine` (search/engines/handle.py) without anything between us and the processes."""

    @contextmanager
    def seats(self, job: Job, workers: int, say: Callable[[str], None]) -> Iterator[Callable[[int], Seat]]:
        """As `Engine.seats`."""
        devices = visible_devices()
        if workers > len(devices) > 0:
            say(f"{workers} workers share {len(devices)} GPU{'s' if len(devices) > 1 else ''}")
        checked = replace(job, options=("--checked", *job.options))  # code and data are the launch's own

        def start(number: int) -> Seat:
            variables = variables_of_worker(devices, number=number, workers=workers)
            environment = with_device(os.environ, variables)
            return ProcessSeat(checked, log=log_of(job.folder, number), environment=environment)

        yield start
