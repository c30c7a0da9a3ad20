"""The launch's end of a worker on a Ray cluster: an actor handle, and what can go wrong with it."""

from types import ModuleType
from typing import Any

from search.engines.handle import WorkerExit
from search.exit_codes import ExitCode

MOST_CHARACTERS = 300  # of what Ray says; it may be pages


class RayHandle:
    """A `WorkerHandle` (handle.py) whose worker an `WorkerActor` looks after, on whichever node has room for it."""

    def __init__(self, ray: ModuleType, actor: Any) -> None:
        self._ray = ray
        self._actor = actor
        self._host = actor.host.remote()
        self._work = actor.work.remote()
        self._left: WorkerExit | None = None
        self._interrupted = False  # by a signal handler, in which Ray must not be called

    def poll(self) -> WorkerExit | None:
        if self._left is None and self._is_ready(self._work):
            self._left = self._outcome()
            self.kill()  # the actor has done its work: its place is another's
        if self._left is None and self._interrupted:
            self._interrupted = False
            self._actor.stop.remote()
        return self._left

    def stop(self) -> None:
        if self._left is None and not self._is_ready(self._host):
            self._left = WorkerExit(code=ExitCode.TRY_LATER)  # it still waits for a node
            self.kill()
        elif self._left is None:
            self._actor.stop.remote()

    def interrupt(self) -> None:
        self._interrupted = True

    def kill(self) -> None:
        self._ray.kill(self._actor)
        self._left = self._left or WorkerExit(code=ExitCode.TRY_LATER)

    def _is_ready(self, result: Any) -> bool:
        ready, _ = self._ray.wait([result], timeout=0)
        return bool(ready)

    def _outcome(self) -> WorkerExit:
        try:
            left: WorkerExit = self._ray.get(self._work)
            return left
        except self._ray.exceptions.RayTaskError:  # a bug of ours, with its traceback
            raise
        except self._ray.exceptions.RayError as error:  # the node, or Ray's own watch over its memory
            return _lost(error)


def _lost(error: Any) -> WorkerExit:
    """What became of an actor that cannot tell us itself."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    if getattr(error, "actor_init_failed", False):
        return WorkerExit(code=ExitCode.USER_MUST_ACT, said=f"a Ray node can't run our workers: {lines[-1]}")
    place = next((line for line in lines if line.startswith("ip:")), "")
    reason = lines[-1] if place else lines[0]  # what Ray knows of an actor begins with who it was
    return WorkerExit(code=None, said=f"{place} {reason[:MOST_CHARACTERS]}".strip())
