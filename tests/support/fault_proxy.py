"""A TCP proxy before a PostgreSQL server that loses connections, bytes and answers when it is told to.

It runs in a thread of its own; `counts` says how often each fault really struck.
"""

import asyncio
import contextlib
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

NO_TRAP = (b"", 0.0, 0)
_OPTIONS = "sslmode=disable&gssencmode=disable&connect_timeout=2"


class Mode(StrEnum):
    """What happens to the traffic."""

    PASS = "pass"
    REFUSE = "refuse"  # connections are closed at once, new ones too
    SWALLOW = "swallow"  # connections stay, acknowledge every byte, and nothing ever comes back


class FaultProxy:
    """Listens on loopback and forwards to a server's socket file."""

    def __init__(self, target: Path) -> None:
        self.counts: Counter[str] = Counter()
        self.port = 0
        self._target = target
        self._mode = Mode.PASS
        self._commits_until_cut: int | None = None
        self._trap = NO_TRAP
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._listening = threading.Event()
        self._over = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),), name="proxy")

    def set_mode(self, mode: Mode) -> None:
        """From now on; `REFUSE` also ends the connections that are there."""
        self._call(self._change, mode)

    def cut_commit(self, after: int) -> None:
        """Deliver so many COMMITs, then one more, wait for its effect, lose its answer, and end its connection."""
        self._call(self._arm, after)

    def leave_at(self, statement: bytes, for_s: float, *, after: int = 0) -> None:
        """Let so many statements with these bytes pass; the next goes nowhere, and the server is away for so long."""
        self._call(self._set_trap, statement, for_s, after)

    def __enter__(self) -> "FaultProxy":
        self._thread.start()
        assert self._listening.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._over.set)
        self._thread.join(10)
        self._loop.close()

    def _call(self, function, *arguments) -> None:
        self._loop.call_soon_threadsafe(function, *arguments)

    def _change(self, mode: Mode) -> None:
        self._mode = mode
        self.counts[mode] += 1
        if mode is Mode.REFUSE:
            for writer in self._writers:
                writer.close()

    def _arm(self, after: int) -> None:
        self._commits_until_cut = after

    def _set_trap(self, statement: bytes, for_s: float, after: int) -> None:
        self._trap = (statement, for_s, after)

    def _springs(self, data: bytes) -> bool:
        """Whether the trap is for this data: then the server is away."""
        statement, for_s, after = self._trap
        if not statement or statement not in data:
            return False
        if after:
            self._trap = (statement, for_s, after - 1)
            return False
        self._trap = NO_TRAP
        self.counts["left"] += 1
        self._change(Mode.REFUSE)
        self._loop.call_later(for_s, self._change, Mode.PASS)
        return True

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._listening.set()
        await self._over.wait()
        server.close()
        for writer in self._writers:
            writer.close()
        # Their writers closed, the connections end by themselves; cancelled, each would be reported as an error.
        if open_ones := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(open_ones, timeout=5)

    async def _accept(self, client_reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        if self._mode is Mode.REFUSE:
            self.counts["refused"] += 1
            client.close()
            return
        try:
            server_reader, server = await asyncio.open_unix_connection(self._target)
        except OSError:
            client.close()
            return
        ends = {client, server}
        self._writers |= ends
        lost = asyncio.Event()  # the answer of a COMMIT is to be swallowed
        pumps = [
            asyncio.ensure_future(self._pump(client_reader, server, lost, upwards=True)),
            asyncio.ensure_future(self._pump(server_reader, client, lost, upwards=False)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            for writer in ends:
                writer.close()
            self._writers -= ends

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, lost: asyncio.Event, *, upwards: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if self._mode is Mode.SWALLOW:
                    self.counts["swallowed"] += 1
                    continue
                if not upwards and lost.is_set():
                    self.counts["commits cut"] += 1
                    return
                if upwards and self._springs(data):
                    return
                if upwards and self._is_due(data):
                    lost.set()
                writer.write(data)
                await writer.drain()

    def _is_due(self, data: bytes) -> bool:
        if b"COMMIT" not in data or self._commits_until_cut is None:
            return False
        self._commits_until_cut -= 1
        if self._commits_until_cut >= 0:
            return False
        self._commits_until_cut = None
        return True


@contextmanager
def proxied(folder: Path, database: str) -> Iterator[tuple[FaultProxy, str]]:
    """A proxy before the server whose socket lies in the folder, and the storage URL through it."""
    with FaultProxy(folder / ".s.PGSQL.5432") as proxy:
        yield proxy, f"postgresql://postgres@127.0.0.1:{proxy.port}/{database}?{_OPTIONS}"
