"""A server in the place of Detectron2's model zoo, and of Keras's, on this machine."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Zoo(ThreadingHTTPServer):
    """Serves one content, and counts how often."""

    class _Handler(BaseHTTPRequestHandler):
        server: "Zoo"

        def do_HEAD(self) -> None:
            self.server.asked += 1
            self.send_response(200)
            self.send_header("Content-Length", str(self.server.announced or len(self.server.content)))
            self.end_headers()

        def do_GET(self) -> None:
            self.do_HEAD()
            self.wfile.write(self.server.content)

        def log_message(self, *_: object) -> None:
            pass

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), self._Handler)
        self.content, self.asked = content, 0
        self.announced: int | None = None  # a length that is said in place of the content's

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def serving(content: bytes) -> Iterator[Zoo]:
    """A server of that content, while the block runs."""
    with Zoo(content) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def unused_address() -> str:
    """Where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"
