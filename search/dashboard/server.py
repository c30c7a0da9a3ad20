"""The Optuna dashboard on one study, with notes that say why trials ended, behind rules on who may ask.

It listens on loopback unless told otherwise, and refuses another address without a password. Over a network, prefer
`ssh -L 8080:127.0.0.1:8080 HOST`: basic authentication over plain HTTP can be read on the way.
"""

import errno
import ipaddress
import logging
import os
import socket
import stat
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna_dashboard
import waitress

from detector.config import ConfigError, require
from search.dashboard.channel import SETTINGS, BoundedChannel
from search.dashboard.guard import Rules, guarded
from search.dashboard.notes import Notes
from search.dashboard.one_study import only
from spaces.faster_rcnn import Space
from storage.connection.errors import StorageError, StorageUnavailable
from storage.study import StoredStudy, trial_ids

PASSWORD_VARIABLE = "FRCNN_DASHBOARD_PASSWORD"
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
SHORTEST_PASSWORD = 8
REFRESH_S = 30.0  # how often the notes of a running study are brought up to date

_log = logging.getLogger(__name__)


def serve(
    study: StoredStudy,
    space: Space | None,
    imported: object | None = None,
    *,
    host: str,
    port: int,
    password: str | None = None,
    writable: bool = False,
    allowed_hosts: Collection[str] = (),
    all_studies: bool = False,
    announce: Callable[[str], None],
) -> None:
    """Serve until interrupted; `announce` gets the address once it listens. Port 0 takes a free one.

    Raises:
        ConfigError: the address is not loopback and there is no password, or cannot be listened on.
    """
    rules = rules_for(host, password=password, writable=writable, allowed_hosts=allowed_hosts)
    notes = Notes(study, space, imported)
    notes.publish()
    application = optuna_dashboard.wsgi(study.database.optuna)
    if not all_studies:
        application = only(application, study.id, lambda trial_id: trial_id in trial_ids(study).values())
    server = _listen(guarded(application, rules), host, port)
    shown = f"[{host}]" if ":" in host else host
    with _kept_fresh(notes):
        announce(f"http://{shown}:{server.effective_port}/dashboard/studies/{study.id}")
        server.run()  # returns after ctrl-c


def rules_for(host: str, *, password: str | None, writable: bool, allowed_hosts: Collection[str]) -> Rules:
    """Whom a dashboard on this address may answer.

    Raises:
        ConfigError: the address is not loopback, or writing is allowed, and there is no password.
    """
    require(
        not writable or password is not None,
        "a dashboard that may write needs a password, even on loopback: every user of this machine reaches it; "
        f"set {PASSWORD_VARIABLE} or --password-file, or leave --writable out",
    )
    loopback = _is_loopback(host)
    require(
        loopback or password is not None,
        f"a dashboard on {host} can be reached by others and needs a password, but none is set; "
        f"set {PASSWORD_VARIABLE} or --password-file, or leave --host at 127.0.0.1 and use ssh -L",
    )
    names = {host, *LOOPBACK_NAMES} if loopback else {host, socket.gethostname(), socket.getfqdn(), *LOOPBACK_NAMES}
    return Rules(
        hosts=frozenset(name.lower() for name in (*names, *allowed_hosts)),
        addresses=not loopback,
        password=password,
        writable=writable,
    )


def read_password(file: Path | None) -> str | None:
    """The password from the file, else from the environment, else None. Never from the command line: `ps` shows it.

    Raises:
        ConfigError: the file is missing, empty or readable by others, or the password is too short.
    """
    source = str(file) if file is not None else PASSWORD_VARIABLE
    password = os.environ.get(PASSWORD_VARIABLE) if file is None else _read_private(file)
    if password is None:
        return None
    require(
        len(password) >= SHORTEST_PASSWORD,
        f"the dashboard's password must have at least {SHORTEST_PASSWORD} characters, "
        f"but the one in {source} has {len(password)}",
    )
    return password


def _read_private(file: Path) -> str:
    try:
        mode = file.stat().st_mode
        text = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the password file {file} cannot be read ({error}); check path and rights") from error
    require(
        not mode & (stat.S_IRWXG | stat.S_IRWXO),
        f"the password file {file} must be readable by you alone, but its mode is {stat.S_IMODE(mode):03o}; "
        f"run: chmod 600 {file}",
    )
    return text


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _listen(application: Any, host: str, port: int) -> Any:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1" if host == "localhost" else host, port))
    except OSError as error:
        listener.close()
        raise ConfigError(_why_not(error, host, port)) from error
    server = waitress.create_server(application, sockets=[listener], threads=4, ident=None, **SETTINGS)
    server.channel_class = BoundedChannel
    return server


def _why_not(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is in use; choose another with --port, or --port 0 for a free one"
    if error.errno == errno.EACCES:
        return f"port {port} needs more rights than you have; choose one from 1024 up with --port"
    return f"--host {host} is not an address of this machine ({error}); use 127.0.0.1, or one that `hostname -I` lists"


@contextmanager
def _kept_fresh(notes: Notes) -> Iterator[None]:
    """Publishes the notes again and again in a thread: trials of a running study go on ending."""
    stop = threading.Event()

    def refresh() -> None:
        while not stop.wait(REFRESH_S):
            try:
                notes.publish()
            except (StorageError, StorageUnavailable) as error:  # a deleted study may be launched again
                _log.warning("notes not refreshed: %s", error)

    thread = threading.Thread(target=refresh, name="dashboard notes", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
