"""The process that all workers and contenders of a test are forked from: what they import, it has imported already."""

from multiprocessing import get_context
from multiprocessing.context import ForkServerContext

#: Whoever comes first starts the only one of this process, so it must know what all of them need.
IMPORTED = ["tests.support.contenders", "tests.support.workforce"]


def fork_server() -> ForkServerContext:
    """Starts processes that need not import what takes seconds."""
    context = get_context("forkserver")
    context.set_forkserver_preload(IMPORTED)
    return context
