"""The Optuna dashboard shows every study of its database; this lets it show one."""

import json
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

LIST = "/api/studies"
_STUDY = re.compile(r"/(?:api/studies|api/artifacts|artifacts|csv|dashboard/studies)/(\d+)(?:/|$)")
_TRIAL = re.compile(r"/api/trials/(\d+)(?:/|$)")
_OTHER_POWERS = ("/incompatible-rdb-schema", "/sql-profiler")


def only(application: "WSGIApplication", study_id: int, owns: Callable[[int], bool]) -> "WSGIApplication":
    """The same application, in which no other study exists; `owns` says whether a trial's id is this study's."""

    def one(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "").rstrip("/")
        study, trial = _STUDY.match(path), _TRIAL.match(path)
        creates = path == LIST and environ["REQUEST_METHOD"] not in ("GET", "HEAD")
        foreign = (study and int(study[1]) != study_id) or (trial and not owns(int(trial[1])))
        if foreign or creates or path.startswith(_OTHER_POWERS):
            start_response("404 Not Found", [("Content-Type", "text/plain; charset=utf-8")])
            return [b"This dashboard serves one study; start it with --all-studies for the others.\n"]
        if path == LIST:
            return _listed(application, environ, start_response, study_id)
        return application(environ, start_response)

    return one


def _listed(
    application: "WSGIApplication", environ: "WSGIEnvironment", start_response: "StartResponse", study_id: int
) -> Iterable[bytes]:
    """The list of studies, with this one alone."""
    answered: list[Any] = []

    def start(status: str, headers: list[tuple[str, str]], error: Any = None, /) -> Callable[[bytes], object]:
        answered[:] = [status, headers]
        return lambda _: None

    document = json.loads(b"".join(application(environ, start)))
    status, headers = answered
    for name, studies in document.items():
        document[name] = [study for study in studies if study.get("study_id") == study_id]
    body = json.dumps(document).encode()
    kept = [(name, value) for name, value in headers if name.lower() != "content-length"]
    start_response(status, [*kept, ("Content-Length", str(len(body)))])
    return [body]
