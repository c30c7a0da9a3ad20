"""What the server of the dashboard bears before it asks anybody for a password: real sockets on loopback."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from waitress import wasyncore

from search.dashboard import server as server_module
from search.dashboard.channel import MOST_OF_AN_ADDRESS, SETTINGS
from search.dashboard.server import _listen

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def hello(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


@pytest.fixture
def port(monkeypatch) -> Iterator[int]:
    """Of a server that gives a request one second."""
    monkeypatch.setattr(server_module, "SETTINGS", {**SETTINGS, "channel_timeout": 1})
    server = _listen(hello, "127.0.0.1", 0)

    thread = threading.Thread(target=server.run)
    thread.start()
    yield server.effective_port
    # In the server's own thread: sockets closed under its select() would end it, and leave its channels open.
    server.trigger.pull_trigger(lambda: wasyncore.close_all(server._map))
    thread.join()
    server.task_dispatcher.shutdown()


def connect(port: int, *, source: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20, source_address=(source, 0))


def answer(port: int, request: bytes, *, source: str = "127.0.0.1") -> bytes:
    with connect(port, source=source) as client:
        client.sendall(request)
        return b"".join(iter(lambda: client.recv(65536), b""))


def test_half_open_connections_of_one_address_keep_nobody_else_out(port):
    with contextlib.ExitStack() as stack:
        crowd = [stack.enter_context(connect(port)) for _ in range(110)]
        for client in crowd[:MOST_OF_AN_ADDRESS]:
            client.sendall(b"GET / HT")
        assert answer(port, REQUEST, source="127.0.0.2").endswith(b"hello")


def test_a_request_that_trickles_in_is_cut_off(port):
    with connect(port) as client:
        began = time.monotonic()
        with contextlib.suppress(OSError):
            while time.monotonic() - began < 30:
                client.sendall(b"G")
                time.sleep(0.2)
        assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 880000000\r\n\r\n" + b"x" * 2_000_000, b"413"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 100_000 + b"\r\n\r\n", b"431"),
    ],
    ids=["body", "header"],
)
def test_a_large_request_is_refused(port, request_, status):
    with connect(port) as client, contextlib.suppress(OSError):
        client.sendall(request_)
        assert client.recv(64).split()[1] == status
