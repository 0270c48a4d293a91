"""The daemon as seen from here: JSON over its Unix socket, one connection a request."""

import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote, urlencode

import msgspec

from shared.api import Problem
from tui.text.plain import plain

Noun = TypeVar("Noun")

TIMEOUT = 10.0  # seconds for one answer; the daemon's own goal for a page is milliseconds


class ApiError(Exception):
    """The daemon answered with a problem; `document` is the whole of it, which may hold more than a Problem."""

    def __init__(self, problem: Problem, document: bytes = b"") -> None:
        self.problem = problem
        self.document = document
        hint = f"\n  {plain(problem.hint)}" if problem.hint else ""
        super().__init__(plain(problem.detail or problem.title) + hint)


class DaemonUnreachable(Exception):
    """Nobody answers at the socket."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"the daemon is not reachable at {plain(str(path))} ({plain(why)}); start it with: stitcherd")


class InvalidResponse(Exception):
    """The daemon's answer is not in the shape that this client knows."""

    def __init__(self, why: str) -> None:
        super().__init__(
            f"the daemon's answer is not understood ({plain(why)}); compare both sides with: stitcher version"
        )


class NotUtf8(ValueError):
    """An argument holds bytes that are not UTF-8."""


class DaemonClient:
    """What can be asked of the daemon behind one socket; knows no routes of its own."""

    def __init__(self, path: Path, patience: float = TIMEOUT) -> None:
        self.path = path
        self._patience = patience

    def get(self, path: str, query: Iterable[tuple[str, str]] = ()) -> bytes:
        """Return the document at `path`; raises Refused, Unreachable or NotText."""
        pairs = list(query)
        return self._request("GET", f"{path}?{_encode_query(pairs)}" if pairs else path)

    def post(self, path: str, body: object) -> bytes:
        """Send `body` as JSON and return the answer; raises Refused, Unreachable or NotText."""
        try:
            return self._request("POST", path, msgspec.json.encode(body))
        except UnicodeEncodeError as error:
            raise NotUtf8("an argument is not UTF-8") from error

    @contextmanager
    def open(self, path: str, query: Iterable[tuple[str, str]], patience: float) -> Iterator[HTTPResponse]:
        """Lend an answer that is still being sent; raises Refused, Unreachable or NotText."""
        connection = _UnixConnection(self.path, patience)
        pairs = list(query)
        try:
            yield self._ask(connection, "GET", f"{path}?{_encode_query(pairs)}" if pairs else path, None)
        finally:
            connection.close()

    def part(self, path: str, span: str) -> tuple[bytes, int]:
        """Return some bytes of a document and its whole size; raises Refused, Unreachable.

        `span` is a range as HTTP has it, `0-99` or `-100` (RFC 9110, 14.1.2); behind the end there are none.
        """
        connection = _UnixConnection(self.path, self._patience)
        try:
            connection.request("GET", path, headers={"Range": f"bytes={span}"})
            response = connection.getresponse()
            content = response.read()
        except (OSError, HTTPException) as error:
            raise self._lost(error, connection) from error
        finally:
            connection.close()
        total = response.headers.get("Content-Range", "").rpartition("/")[2]
        if response.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return b"", int(total or 0)
        if response.status >= 400:
            raise ApiError(_problem(response, content), content)
        return content, int(total or len(content))

    def _request(self, method: str, target: str, body: bytes | None = None) -> bytes:
        connection = _UnixConnection(self.path, self._patience)
        try:
            return self._ask(connection, method, target, body).read()
        except (OSError, HTTPException) as error:
            raise self._lost(error, connection) from error
        finally:
            connection.close()

    def _ask(self, connection: HTTPConnection, method: str, target: str, body: bytes | None) -> HTTPResponse:
        try:
            connection.request(method, target, body, {"Content-Type": "application/json"} if body is not None else {})
            response = connection.getresponse()
            if response.status < 400:
                return response
            document = response.read()
        except (OSError, HTTPException) as error:
            raise self._lost(error, connection) from error
        raise ApiError(_problem(response, document), document)

    def _lost(self, error: Exception, connection: HTTPConnection) -> DaemonUnreachable:
        if isinstance(error, TimeoutError):
            return DaemonUnreachable(self.path, f"no answer within {connection.timeout:g} s")
        return DaemonUnreachable(self.path, getattr(error, "strerror", None) or str(error))


def job_path(job_id: str) -> str:
    """Return the route of a job, from its id or the end of it; raises NotText."""
    return f"/runner-jobs/{_quote_segment(job_id)}"


def delivery_path(delivery_id: str) -> str:
    """Return the route of a delivery, from its id or the end of it; raises NotText."""
    return f"/deliveries/{_quote_segment(delivery_id)}"


def decode(document: bytes, noun: type[Noun]) -> Noun:
    """Return the noun that a document holds; raises Unintelligible."""
    try:
        return msgspec.json.decode(document, type=noun)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidResponse(str(error)) from error


class _UnixConnection(HTTPConnection):
    def __init__(self, path: Path, patience: float) -> None:
        super().__init__("localhost", timeout=patience)
        self._path = path
        self._patience = patience

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self._patience)
        self.sock.connect(str(self._path))


def _problem(response: HTTPResponse, document: bytes) -> Problem:
    try:
        return msgspec.json.decode(document, type=Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        said = f"the daemon answered {response.status} {response.reason}"
        return Problem("about:blank", response.reason, response.status, "internal", said)


def _quote_segment(text: str) -> str:
    try:
        return quote(text, safe="")
    except UnicodeEncodeError as error:
        raise NotUtf8("an id is not UTF-8") from error


def _encode_query(pairs: list[tuple[str, str]]) -> str:
    try:
        return urlencode(pairs)
    except UnicodeEncodeError as error:
        raise NotUtf8("an argument is not UTF-8") from error
