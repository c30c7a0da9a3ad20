"""Workers on the nodes of a Ray cluster: one that exists, or one on this machine that lives as long as the launch.

Ray only finds them a place, with its share of a GPU, and says when a node is lost. What the workers do, they settle
among themselves through the database, as everywhere.
"""

import importlib
import importlib.util
import logging
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any, ClassVar

from detector.config import ConfigError, require
from search.engines.handle import Job, WorkerHandle
from search.engines.ray_actor import WorkerActor
from search.engines.ray_handle import RayHandle
from search.engines.ray_token import require_token
from storage.connection.address import Address, holds_secret

OLDEST = (2, 54)  # earlier ones let web pages delete jobs (CVE-2026-27482)
LOOPBACK = "127.0.0.1"
ADDRESS = "RAY_ADDRESS"
_OBJECT_STORE_BYTES = 80 * 2**20  # close to Ray's minimum: nothing of ours goes through it

#: Read when Ray is imported: for a cluster of our own, and for one that exists.
_LOCAL_VARIABLES = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # on every system the switch for loopback addresses only
    "RAY_kill_child_processes_on_worker_exit": "false",  # a worker whose launch died stops by itself, and cleanly
    "RAY_memory_monitor_refresh_ms": "0",  # it ends our actors for what their trainers take; workers see to that
    "RAY_USAGE_STATS_ENABLED": "0",
}
_EXISTING_VARIABLES = {"RAY_NUM_REDIS_GET_RETRIES": "5"}  # seconds, instead of twenty, if address or token is wrong


@dataclass(frozen=True, slots=True, kw_only=True)
class RayExecutor:
    """An `Executor` (search/engines/handle.py) whose workers are placed by Ray."""

    on_this_machine: ClassVar[bool] = False

    address: str | None = None  # None: that of RAY_ADDRESS, or else a cluster of our own on this machine
    gpus_per_worker: float | None = None  # None: an equal share of what the cluster has, at most a whole one
    cpus_per_worker: float = 1.0

    def __post_init__(self) -> None:
        gpus = self.gpus_per_worker
        require(
            gpus is None or 0 <= gpus < 1 or (1 <= gpus < math.inf and gpus % 1 == 0),
            f"--gpus-per-worker must be 0, a part of one such as 0.5, or a whole number, but is {gpus}",
        )
        require(self.cpus_per_worker >= 0, f"--cpus-per-worker must be at least 0, but is {self.cpus_per_worker}")

    @contextmanager
    def open(self, job: Job, workers: int, say: Callable[[str], None]) -> Iterator[Callable[[int], WorkerHandle]]:
        """As `Executor.open`."""
        require_reference(job.storage)
        address = self.address or os.environ.get(ADDRESS) or None
        require(
            not (address or "").startswith("ray://"),
            f"the address of the cluster must be HOST:PORT, as `ray start` printed it, but is {address}: a launch runs "
            "on one of the cluster's machines, not through Ray Client",
        )
        require_token(os.environ, existing=address is not None, say=say)
        os.environ |= {**(_EXISTING_VARIABLES if address else _LOCAL_VARIABLES), **os.environ}
        ray = import_ray()
        try:
            self._connect(ray, address, workers)
            nodes = [node for node in ray.nodes() if node["Alive"]]
            require_one_node(job.storage, [str(node["NodeManagerHostname"]) for node in nodes])
            gpus = self._gpus(nodes, workers)
            self._check_room(nodes, gpus, workers, own=address is None, say=say)
            yield self._starter(ray, job, gpus)
        finally:
            ray.shutdown()

    def _connect(self, ray: ModuleType, address: str | None, workers: int) -> None:
        own: dict[str, Any] = {
            "address": "local",
            "include_dashboard": False,
            "num_cpus": max(os.cpu_count() or 1, math.ceil(workers * self.cpus_per_worker)),
            "object_store_memory": _OBJECT_STORE_BYTES,
        }
        arguments = {"address": address} if address else own
        try:
            context = ray.init(**arguments, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
            what = f"the Ray cluster at {address}" if address else "a Ray cluster on this machine"
            hint = (
                "is it running, is this one of its machines, and is the token at hand the cluster's?" if address else ""
            )
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ConfigError(f"{what} can't be used: {reason}; {hint}".rstrip("; ")) from None
        where = context.address_info["node_ip_address"]
        require(
            address is not None or where == LOOPBACK, f"our own Ray cluster must stay on {LOOPBACK}, but is on {where}"
        )

    def _gpus(self, nodes: list[dict[str, Any]], workers: int) -> float:
        if self.gpus_per_worker is not None:
            return self.gpus_per_worker
        total = int(sum(node["Resources"].get("GPU", 0) for node in nodes))
        return 1 / math.ceil(workers / total) if total else 0

    def _check_room(
        self, nodes: list[dict[str, Any]], gpus: float, workers: int, *, own: bool, say: Callable[[str], None]
    ) -> None:
        room = sum(room_on(node["Resources"], cpus=self.cpus_per_worker, gpus=gpus) for node in nodes)
        if room >= workers:
            return
        needs = f"{self.cpus_per_worker:g} CPUs and {gpus:g} GPUs a worker"
        message = f"the Ray cluster of {len(nodes)} nodes has room for at most {room} of {workers} workers, at {needs}"
        require(not own, f"{message}; ask for fewer workers, or for less with --gpus-per-worker")
        say(f"{message}; the others wait for nodes")

    def _starter(self, ray: ModuleType, job: Job, gpus: float) -> Callable[[int], WorkerHandle]:
        strategy: Any = "SPREAD"
        if Address.parse(job.storage).path is not None:
            here = ray.get_runtime_context().get_node_id()
            strategy = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node_id=here, soft=False)
        actor = ray.remote(WorkerActor).options(
            num_cpus=self.cpus_per_worker,
            num_gpus=gpus,
            max_concurrency=3,  # `stop` and `host` are answered while `work` runs
            scheduling_strategy=strategy,
        )
        return lambda number: RayHandle(ray, actor.remote(job, number=number, gpus=gpus))


def require_installed() -> None:
    """Return if Ray is installed; it is not loaded.

    Raises:
        ConfigError: it is not.
    """
    require(
        importlib.util.find_spec("ray") is not None,
        "--engine ray needs Ray, which is not installed: pip install 'ray>=2.54'",
    )


def import_ray() -> ModuleType:
    """The module `ray`.

    Raises:
        ConfigError: it is not installed, or too old.
    """
    require_installed()
    ray = importlib.import_module("ray")
    importlib.import_module("ray.util.scheduling_strategies")
    version = tuple(int(part) for part in ray.__version__.split(".")[:2])
    require(version >= OLDEST, f"Ray must be {OLDEST[0]}.{OLDEST[1]} or newer, but is {ray.__version__}; upgrade it")
    return ray


def require_reference(storage: str) -> None:
    """Return if the storage, as it stands, holds no password: Ray keeps what it is told, in files and on its nodes.

    Raises:
        ConfigError: it does.
    """
    if holds_secret(storage):
        raise ConfigError(
            "with --engine ray, which would hand it around, the study's storage must hold no password; write `storage: "
            "env:NAME` (a variable of each node's environment) or `storage: file:PATH` (a file, mode 600, on each node)"
        )


def require_one_node(storage: str, hosts: list[str]) -> None:
    """Return if the storage can serve workers on these nodes: SQLite only those of one machine.

    Raises:
        ConfigError: it cannot.
    """
    path = Address.parse(storage).path
    require(
        path is None or len(hosts) == 1,
        f"a study on more than one node must be in PostgreSQL, but this one is in SQLite ({path}), whose locks do not "
        f"hold between machines, and the cluster has {len(hosts)} nodes: {', '.join(hosts)}",
    )


def room_on(resources: dict[str, float], *, cpus: float, gpus: float) -> int:
    """How many workers an empty node has room for. One worker's part of a GPU is never made of two."""
    by_cpu = int(resources.get("CPU", 0) // cpus) if cpus else math.inf
    owned = int(resources.get("GPU", 0))
    by_gpu = math.inf if not gpus else owned * int(1 / gpus + 1e-6) if gpus < 1 else owned // int(gpus)
    return int(min(by_cpu, by_gpu, 10_000))
