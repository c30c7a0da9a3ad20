"""Who may ask the dashboard what: the rules against a real Optuna dashboard application, without a network."""

import base64
from wsgiref.util import setup_testing_defaults

import optuna
import optuna_dashboard
import pytest

from search.dashboard.guard import Rules, guarded, host_name, same_secret
from search.dashboard.server import rules_for
from storage.connection.database import Database

LOOPBACK = rules_for("127.0.0.1", password=None, writable=False, allowed_hosts=())
PASSWORD = "correct horse: battery"


class Browser:
    """Asks a WSGI application and keeps what came back."""

    def __init__(self, database: Database, rules: Rules) -> None:
        self._application = guarded(optuna_dashboard.wsgi(database.optuna), rules)
        self.headers: dict[str, str] = {}
        self.body = b""

    def ask(self, path: str, *, method: str = "GET", host: str = "127.0.0.1:8080", **headers: str) -> int:
        """The status of the answer."""
        environ: dict[str, object] = {"PATH_INFO": path, "REQUEST_METHOD": method, "HTTP_HOST": host, **headers}
        setup_testing_defaults(environ)
        status = []

        def start_response(line: str, answered: list[tuple[str, str]], error: object = None) -> None:
            status.append(int(line.split()[0]))
            self.headers = dict(answered)

        parts = self._application(environ, start_response)  # type: ignore[arg-type]
        self.body = b"".join(parts)
        if hasattr(parts, "close"):
            parts.close()
        return status[0]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8080", 200),
        ("localhost:9999", 200),
        ("LOCALHOST.", 200),
        ("[::1]:8080", 200),
        ("rebind.example:8080", 403),
        ("127.0.0.1.rebind.example", 403),
        ("localhost.rebind.example", 403),
        ("127.0.0.1@rebind.example", 403),
        ("", 403),
        ("[::1", 403),
        ("10.0.0.7:8080", 403),
    ],
)
def test_only_names_of_this_machine_are_answered(database: Database, host: str, status: int) -> None:
    assert Browser(database, LOOPBACK).ask("/api/studies", host=host) == status


def test_a_name_of_ones_own_can_be_allowed(database: Database) -> None:
    rules = rules_for("127.0.0.1", password=None, writable=False, allowed_hosts=("Tunnel.Example",))
    assert Browser(database, rules).ask("/api/studies", host="tunnel.example:443") == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/api/studies/1"),
        ("POST", "/api/studies"),
        ("POST", "/api/studies/1/rename"),
        ("POST", "/api/trials/1/tell"),
        ("PUT", "/api/studies/1/note"),
        ("PATCH", "/api/studies/1"),
        ("OPTIONS", "/api/studies"),
    ],
)
def test_nothing_can_be_changed_unless_it_was_allowed(
    database: Database, study: optuna.Study, method: str, path: str
) -> None:
    browser = Browser(database, LOOPBACK)
    assert browser.ask(path, method=method) == 403
    assert b"--writable" in browser.body
    assert len(study.get_trials()) == 7


@pytest.mark.parametrize(
    "path",
    ["/dashboard", "/api/meta", "/api/studies", "/api/studies/1", "/api/studies/1/param_importances", "/csv/1"],
)
def test_every_page_can_be_read(database: Database, study: optuna.Study, path: str) -> None:
    browser = Browser(database, LOOPBACK)
    assert browser.ask(path) == 200
    assert browser.headers["X-Frame-Options"] == "SAMEORIGIN"


def test_a_writable_dashboard_deletes_but_not_for_a_foreign_page(database: Database, study: optuna.Study) -> None:
    rules = rules_for("127.0.0.1", password=None, writable=True, allowed_hosts=())
    browser = Browser(database, rules)
    assert browser.ask("/api/studies/1", method="DELETE", HTTP_ORIGIN="https://evil.example") == 403
    assert browser.ask("/api/studies/1", method="DELETE", HTTP_ORIGIN="null") == 403
    assert browser.ask("/api/studies/1", method="DELETE", HTTP_ORIGIN="http://127.0.0.1:8080") == 204


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (_basic("anybody", PASSWORD), 200),
        (_basic("", PASSWORD), 200),
        (_basic("anybody", "wrong"), 401),
        (_basic("anybody", PASSWORD + " "), 401),
        (_basic("anybody", ""), 401),
        ("Basic not-base64!", 401),
        ("Basic /w==", 401),  # not text
        ("Bearer " + PASSWORD, 401),
        ("", 401),
    ],
)
def test_a_password_is_asked_of_everybody(database: Database, authorization: str, status: int) -> None:
    rules = rules_for("0.0.0.0", password=PASSWORD, writable=False, allowed_hosts=())
    browser = Browser(database, rules)
    assert browser.ask("/api/studies", host="10.0.0.7:8080", HTTP_AUTHORIZATION=authorization) == status
    assert ("WWW-Authenticate" in browser.headers) == (status == 401)


def test_a_foreign_host_name_is_refused_before_the_password_is_looked_at(database: Database) -> None:
    rules = rules_for("0.0.0.0", password=PASSWORD, writable=False, allowed_hosts=())
    browser = Browser(database, rules)
    assert browser.ask("/", host="rebind.example", HTTP_AUTHORIZATION=_basic("a", PASSWORD)) == 403


def test_a_refused_head_request_gets_no_body(database: Database) -> None:
    browser = Browser(database, LOOPBACK)
    assert browser.ask("/", method="HEAD", host="rebind.example") == 403
    assert browser.body == b""


def test_host_names_lose_port_brackets_and_case() -> None:
    assert host_name("[::1]:80") == "::1"
    assert host_name("Node-A.example.:80") == "node-a.example"


def test_secrets_are_equal_only_when_every_character_is() -> None:
    assert same_secret("pässwörd", "pässwörd")
    assert not same_secret("pässwörd", "password")
    assert not same_secret("", "password")
