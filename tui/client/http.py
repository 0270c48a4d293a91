"""HTTP client of the daemon: JSON over its Unix socket, one connection per request."""

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

T = TypeVar("T")

Query = Iterable[tuple[str, str]]

TIMEOUT = 10.0  # seconds for one response; the daemon itself aims at milliseconds


class ApiError(Exception):
    """The daemon answered with a problem; `document` is the response body it was decoded from."""

    def __init__(self, problem: Problem, document: bytes = b"") -> None:
        self.problem = problem
        self.document = document
        hint = f"\n  {plain(problem.hint)}" if problem.hint else ""
        super().__init__(plain(problem.detail or problem.title) + hint)


class DaemonUnreachable(Exception):
    """Nothing answers at the socket."""

    def __init__(self, path: Path, reason: str, state_dir: Path | None = None) -> None:
        remedy = "start it with: stitcherd"
        holder = lock_holder(state_dir / "lock") if state_dir else None
        if state_dir and holder:
            remedy = (
                f"pid {plain(holder)} has the state directory {plain(str(state_dir))}: a socket that was removed is"
                " bound again within seconds, any other is daemon.socket in its stitcherd.toml"
            )
        super().__init__(f"the daemon is not reachable at {plain(str(path))} ({plain(reason)}); {remedy}")


def lock_holder(path: Path) -> str | None:
    """Return the pid in a daemon's lock file, None unless a stitcherd has that pid.

    Locking the file would tell for certain, but a daemon that starts at that moment would not get its lock.
    """
    try:
        pid = path.read_text("ascii").strip()
        return pid if b"stitcherd" in Path("/proc", pid, "cmdline").read_bytes() else None
    except (OSError, ValueError):
        return None


class InvalidResponse(Exception):
    """The daemon's response does not have the shape that this client knows."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"the daemon's response is not understood ({plain(reason)}); compare both versions with: stitcher version"
        )


class NotUtf8(ValueError):
    """An argument contains bytes that are not UTF-8."""


class DaemonClient:
    """Sends requests to the daemon behind one socket; tui.client.api knows the routes.

    `state_dir` is where to look for who has the state if nothing answers.
    """

    def __init__(self, path: Path, timeout: float = TIMEOUT, state_dir: Path | None = None) -> None:
        self.path = path
        self.state_dir = state_dir
        self._timeout = timeout

    def with_timeout(self, timeout: float) -> "DaemonClient":
        """Return a client of the same daemon that waits `timeout` seconds for each response."""
        return DaemonClient(self.path, timeout, self.state_dir)

    def get(self, path: str, query: Query = ()) -> bytes:
        """Return the document at `path`; raises ApiError, DaemonUnreachable or NotUtf8."""
        return self._request("GET", _target(path, query))

    def post(self, path: str, body: object) -> bytes:
        """Send `body` as JSON and return the response; raises ApiError, DaemonUnreachable or NotUtf8."""
        try:
            return self._request("POST", path, msgspec.json.encode(body))
        except UnicodeEncodeError as error:
            raise NotUtf8("an argument is not UTF-8") from error

    @contextmanager
    def open(self, path: str, query: Query, timeout: float) -> Iterator[HTTPResponse]:
        """Yield a response whose body is read as it arrives; raises ApiError, DaemonUnreachable or NotUtf8.

        `timeout` is in seconds, for connecting and between two reads.
        """
        connection = _UnixConnection(self.path, timeout)
        try:
            yield self._send(connection, "GET", _target(path, query), None)
        finally:
            connection.close()

    def get_range(self, path: str, query: Query, span: str) -> tuple[bytes, int]:
        """Return a range of a document and the size of the whole; raises ApiError, DaemonUnreachable or NotUtf8.

        `span` is an HTTP range, `0-99` or `-100` (RFC 9110, 14.1.2); one that begins after the end is empty.
        """
        connection = _UnixConnection(self.path, self._timeout)
        try:
            connection.request("GET", _target(path, query), headers={"Range": f"bytes={span}"})
            response = connection.getresponse()
            content = response.read()
        except (OSError, HTTPException) as error:
            raise self._unreachable(error, connection) from error
        finally:
            connection.close()
        total = response.headers.get("Content-Range", "").rpartition("/")[2]
        if response.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return b"", int(total or 0)
        if response.status >= 400:
            raise ApiError(_problem(response, content), content)
        return content, int(total or len(content))

    def _request(self, method: str, target: str, body: bytes | None = None) -> bytes:
        connection = _UnixConnection(self.path, self._timeout)
        try:
            return self._send(connection, method, target, body).read()
        except (OSError, HTTPException) as error:
            raise self._unreachable(error, connection) from error
        finally:
            connection.close()

    def _send(self, connection: HTTPConnection, method: str, target: str, body: bytes | None) -> HTTPResponse:
        try:
            connection.request(method, target, body, {"Content-Type": "application/json"} if body is not None else {})
            response = connection.getresponse()
            if response.status < 400:
                return response
            document = response.read()
        except (OSError, HTTPException) as error:
            raise self._unreachable(error, connection) from error
        raise ApiError(_problem(response, document), document)

    def _unreachable(self, error: Exception, connection: HTTPConnection) -> DaemonUnreachable:
        if isinstance(error, TimeoutError):
            return DaemonUnreachable(self.path, f"no answer within {connection.timeout:g} s", self.state_dir)
        return DaemonUnreachable(self.path, getattr(error, "strerror", None) or str(error), self.state_dir)


def quote_segment(text: str) -> str:
    """Return `text` escaped as one segment of a URL path; raises NotUtf8."""
    try:
        return quote(text, safe="")
    except UnicodeEncodeError as error:
        raise NotUtf8("an id is not UTF-8") from error


def decode(document: bytes, type_: type[T]) -> T:
    """Return the value of a JSON document; raises InvalidResponse."""
    try:
        return msgspec.json.decode(document, type=type_)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidResponse(str(error)) from error


class _UnixConnection(HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path
        self._timeout = timeout

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self._timeout)
        self.sock.connect(str(self._path))


def _problem(response: HTTPResponse, document: bytes) -> Problem:
    try:
        return msgspec.json.decode(document, type=Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        detail = f"the daemon answered {response.status} {response.reason}"
        return Problem("about:blank", response.reason, response.status, "internal", detail)


def _target(path: str, query: Query) -> str:
    pairs = list(query)
    try:
        return f"{path}?{urlencode(pairs)}" if pairs else path
    except UnicodeEncodeError as error:
        raise NotUtf8("an argument is not UTF-8") from error
