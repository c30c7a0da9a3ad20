"""An answer from the web, or none within seconds."""

import threading
import urllib.request
from concurrent.futures import Future
from http.client import HTTPException, HTTPResponse
from urllib.parse import urlsplit

ANSWER_S = 5.0  # a server that does not answer by then is none, whatever the look-up of its name waits for
SILENT_S = 20.0  # the longest silence in the midst of a file


def answering(address: str, method: str = "GET") -> HTTPResponse:
    """The answer to a request, of which the head has come.

    Raises:
        OSError: there is none within `ANSWER_S`, or it is a refusal.
    """
    request = urllib.request.Request(address, method=method)
    found: Future[HTTPResponse] = Future()

    def ask() -> None:
        try:
            found.set_result(urllib.request.urlopen(request, timeout=SILENT_S))
        except Exception as error:
            found.set_exception(error)

    threading.Thread(target=ask, daemon=True).start()  # no timeout of a socket's bounds the look-up of a name
    try:
        return found.result(timeout=ANSWER_S)
    except TimeoutError:
        raise OSError(f"{urlsplit(address).netloc} did not answer within {ANSWER_S:g} s") from None
    except (HTTPException, ValueError) as error:
        raise OSError(f"{urlsplit(address).netloc} gave no answer that could be read ({error!r})") from error
