"""Bounds of the server's connections, before anybody is asked for a password."""

from typing import Any

from waitress.channel import HTTPChannel

MOST_OF_AN_ADDRESS = 32  # connections; a browser opens six
SETTINGS = {
    "connection_limit": 400,
    "channel_timeout": 10,  # seconds, for the whole of a request
    "cleanup_interval": 1,
    "max_request_header_size": 32 * 1024,
    "max_request_body_size": 1024 * 1024,  # a note
}


class BoundedChannel(HTTPChannel):  # type: ignore[misc]
    """A connection whose request must have arrived in time, however slowly; one address has few of them."""

    _active_s = 0.0

    def __init__(self, server: Any, sock: Any, addr: Any, adj: Any, map: Any = None) -> None:
        super().__init__(server, sock, addr, adj, map)
        same = sum(channel.addr[0] == addr[0] for channel in server.active_channels.values())
        if same > MOST_OF_AN_ADDRESS:
            self.handle_close()

    @property
    def last_activity(self) -> float:
        """When something happened; of a request that is still arriving, when it began to."""
        return self._active_s

    @last_activity.setter
    def last_activity(self, now_s: float) -> None:
        if self.request is None:
            self._active_s = now_s
