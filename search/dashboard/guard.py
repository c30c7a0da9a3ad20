"""What stands between a browser and the Optuna dashboard, which has no rules of its own.

A request passes four questions, in this order: is it meant for this host (DNS rebinding), does it know the password,
does it only read, and, where writing was allowed, does it come from one of our own pages (request forgery)?
The dashboard's pages need nothing but GET to render; every other method changes the study.
"""

import base64
import binascii
import hashlib
import hmac
import ipaddress
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from search.dashboard.attempts import Attempts

if TYPE_CHECKING:
    from _typeshed import OptExcInfo
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

SECURITY_HEADERS = (
    ("X-Frame-Options", "SAMEORIGIN"),
    ("Content-Security-Policy", "frame-ancestors 'self'"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "same-origin"),
)
READING_METHODS = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The answer to a request that may not pass."""

    status: str
    reason: str
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Whom the dashboard answers, and what it lets them do."""

    hosts: frozenset[str]  # names allowed in the Host header, lower case, without port or brackets
    addresses: bool = False  # any literal address as well: a rebinding attack always needs a name
    password: str | None = None  # None: nobody is asked
    writable: bool = False
    attempts: Attempts = field(default_factory=Attempts)

    def refusal(self, environ: "WSGIEnvironment") -> Refusal | None:
        """Why this request may not pass, or None."""
        for question in (self._wrong_host, self._wrong_password, self._writes):
            refusal = question(environ)
            if refusal is not None:
                return refusal
        return None

    def _wrong_host(self, environ: "WSGIEnvironment") -> Refusal | None:
        name = host_name(environ.get("HTTP_HOST", ""))
        if name in self.hosts or (self.addresses and _is_address(name)):
            return None
        return Refusal(
            status="403 Forbidden",
            reason=f"The dashboard does not answer to the host name {name!r}. "
            f"Start it with --allow-host {name or 'NAME'} if that is this machine.",
        )

    def _wrong_password(self, environ: "WSGIEnvironment") -> Refusal | None:
        if self.password is None:
            return None
        address, given = environ.get("REMOTE_ADDR", ""), _given_password(environ)
        if (wait_s := self.attempts.wait_s(address)) > 0:
            return Refusal(
                status="429 Too Many Requests",
                reason=f"Too many wrong passwords from {address}; try again in {wait_s:.0f} s.",
                headers=(("Retry-After", str(math.ceil(wait_s))),),
            )
        if same_secret(given, self.password):
            self.attempts.succeeded(address)
            return None
        if given:  # a browser asks once without
            self.attempts.failed(address)
        return Refusal(
            status="401 Unauthorized",
            reason="The password of this dashboard is needed (any user name).",
            headers=(("WWW-Authenticate", 'Basic realm="frcnn-search", charset="UTF-8"'),),
        )

    def _writes(self, environ: "WSGIEnvironment") -> Refusal | None:
        if environ["REQUEST_METHOD"] in READING_METHODS:
            return None
        if not self.writable:
            return Refusal(
                status="403 Forbidden",
                reason="This dashboard is read-only. Start it with --writable to edit notes or delete studies.",
            )
        origin = environ.get("HTTP_ORIGIN")
        if origin is not None and urlsplit(origin).netloc.lower() != environ.get("HTTP_HOST", "").lower():
            return Refusal(status="403 Forbidden", reason=f"A page of {origin} may not change this study.")
        return None


def guarded(application: "WSGIApplication", rules: Rules) -> "WSGIApplication":
    """The same application behind the rules; a refused request never reaches it."""

    def guard(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        refusal = rules.refusal(environ)
        if refusal is None:
            return application(environ, _secured(start_response))
        body = (refusal.reason + "\n").encode()
        headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
        _secured(start_response)(refusal.status, [*headers, *refusal.headers])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    return guard


def host_name(header: str) -> str:
    """The name or address of a Host header, lower case, without port and brackets; empty when there is none."""
    try:
        return (urlsplit(f"//{header}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def same_secret(given: str, expected: str) -> bool:
    """Whether both are equal, in a time that tells nothing of either, not even the length."""
    digests = (hashlib.sha256(text.encode()).digest() for text in (given, expected))
    return hmac.compare_digest(*digests)


def _given_password(environ: "WSGIEnvironment") -> str:
    scheme, _, credentials = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _secured(start_response: "StartResponse") -> "StartResponse":
    """Adds that no other site may show our pages inside its own, where a click could be stolen, and the like."""

    def start(
        status: str, headers: list[tuple[str, str]], error: "OptExcInfo | None" = None, /
    ) -> Callable[[bytes], object]:
        return start_response(status, [*headers, *SECURITY_HEADERS], error)

    return start
