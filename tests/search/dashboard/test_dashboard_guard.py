"""Who may ask the dashboard what: the rules against a real Optuna dashboard application, without a network."""

import base64
import json
from wsgiref.util import setup_testing_defaults

import optuna
import optuna_dashboard
import pytest

from detector.config import ConfigError
from search.dashboard.attempts import FREE
from search.dashboard.guard import Rules, guarded, host_name, same_secret
from search.dashboard.one_study import only
from search.dashboard.server import rules_for
from storage.connection.database import Database
from storage.study import find_study, trial_ids

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


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def test_a_writable_dashboard_deletes_but_not_for_a_foreign_page(database: Database, study: optuna.Study) -> None:
    rules = rules_for("127.0.0.1", password=PASSWORD, writable=True, allowed_hosts=())
    browser = Browser(database, rules)
    mine = {"method": "DELETE", "HTTP_AUTHORIZATION": _basic("", PASSWORD)}
    assert browser.ask("/api/studies/1", **mine, HTTP_ORIGIN="https://evil.example") == 403
    assert browser.ask("/api/studies/1", **mine, HTTP_ORIGIN="null") == 403
    assert browser.ask("/api/studies/1", method="DELETE", HTTP_ORIGIN="http://127.0.0.1:8080") == 401
    assert browser.ask("/api/studies/1", **mine, HTTP_ORIGIN="http://127.0.0.1:8080") == 204


def test_who_may_write_needs_a_password_on_loopback_too() -> None:
    with pytest.raises(ConfigError, match="needs a password, even on loopback"):
        rules_for("127.0.0.1", password=None, writable=True, allowed_hosts=())


def test_refusals_bear_the_same_headers_as_pages(database: Database) -> None:
    browser = Browser(database, LOOPBACK)
    for host, status in (("rebind.example", 403), ("localhost", 200)):
        assert browser.ask("/api/studies", host=host) == status
        assert browser.headers["Content-Security-Policy"] == "frame-ancestors 'self'"
        assert browser.headers["X-Content-Type-Options"] == "nosniff"


def test_after_some_wrong_passwords_the_right_one_has_to_wait_and_others_do_not(database: Database, caplog) -> None:
    rules = rules_for("0.0.0.0", password=PASSWORD, writable=False, allowed_hosts=())
    browser = Browser(database, rules)
    asked = {"host": "10.0.0.7:8080", "REMOTE_ADDR": "10.0.0.9"}
    codes = [browser.ask("/", **asked, HTTP_AUTHORIZATION=_basic("", f"guess {n}")) for n in range(20)]
    assert codes == [401] * FREE + [429] * (20 - FREE)
    assert browser.headers["Retry-After"] == "1"
    assert browser.ask("/api/meta", **asked, HTTP_AUTHORIZATION=_basic("", PASSWORD)) == 429
    other = {**asked, "REMOTE_ADDR": "10.0.0.8"}
    assert browser.ask("/api/meta", **other, HTTP_AUTHORIZATION=_basic("", PASSWORD)) == 200
    assert "from 10.0.0.9" in caplog.text


@pytest.fixture
def two_studies(database: Database, study: optuna.Study) -> tuple[Browser, optuna.Study]:
    """A browser of `study` alone, and another study of the same database."""
    other = optuna.create_study(study_name="of somebody else", storage=database.optuna)
    other.ask()
    stored = find_study(database, study.study_name)
    browser = Browser(database, LOOPBACK)
    application = optuna_dashboard.wsgi(database.optuna)
    browser._application = only(application, stored.id, lambda trial: trial in trial_ids(stored).values())
    return browser, other


def test_only_the_study_that_was_named_is_there(two_studies: tuple[Browser, optuna.Study]) -> None:
    browser, other = two_studies
    assert browser.ask("/api/studies") == 200
    assert [each["study_id"] for each in json.loads(browser.body)["study_summaries"]] == [1]
    assert browser.ask("/api/studies/1") == 200
    theirs = other._study_id
    for path in ("/api/studies/{}", "/csv/{}", "/dashboard/studies/{}", "/api/studies/{}/param_importances"):
        assert browser.ask(path.format(theirs)) == 404
        assert browser.ask(path.format(1)) == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/api/studies/2"),
        ("DELETE", "/api/studies/2/"),
        ("POST", "/api/studies"),
        ("POST", "/api/studies/2/rename"),
        ("PUT", "/api/studies/2/note"),
        ("POST", "/api/trials/8/tell"),
        ("POST", "/api/trials/8/user-attrs"),
        ("POST", "/incompatible-rdb-schema"),
    ],
)
def test_no_other_study_can_be_changed(two_studies: tuple[Browser, optuna.Study], method: str, path: str) -> None:
    browser, other = two_studies
    assert (other._study_id, other.trials[0]._trial_id) == (2, 8)
    assert browser.ask(path, method=method) == 404


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
