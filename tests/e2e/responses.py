"""All that a daemon answers about some jobs, and about its lists, in a form that two daemons can be compared by.

A daemon on a copy in PostgreSQL may answer otherwise only in this:

* PostgreSQL has no NUL in texts: U+FFFD takes its place. In JSON, such as payloads of events, and in bytes it stays.
* A list's `cursor` is the newest event, and each daemon of a shared store adds one of itself when it starts.
* `micros` is how long a decision took.
* A file has the headers Last-Modified and ETag, an output in the store has not: of the headers, what says how to read
  the body is compared. Of a range that cannot be had, whose response (416) has no body, only one says that this has
  the length 0.
"""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any
from urllib.parse import quote

from tests.e2e.harness import DaemonHarness
from tests.e2e.http_client import UnixConnection

PAGE = 500
PATHS = ("/accounts", "/pause", *(f"/stats?by={by}" for by in ("day", "hour", "type", "repository", "executor")))
LISTS = (
    "/runner-jobs?",
    "/runner-jobs?repository=ACME/roof-1",
    "/runner-jobs?status=failed&status=cancelled&type=fix",
    *(
        f"/runner-jobs?q={quote(query)}"
        for query in ("state:pending", 'type:fix "roof-7"', "repo:acme/cellar-* -state:completed", "gate:tests age:>1h")
    ),
    "/deliveries?",
    "/deliveries?source=github&verdict=allowed",
    "/answers?",
)
RANGES = ("bytes=2-9", "bytes=-4", "bytes=3-", "bytes=99999999-")
ODD_RANGES = ("bytes=9-2", "lines=1-2")
HEADERS = ("Content-Type", "Content-Length", "Content-Range", "Accept-Ranges")
UNLIKE = re.compile(rb'"(?:cursor|micros)":[0-9]+')

Response = tuple[object, ...]


class Responses:
    """The responses of one daemon by what was asked for; `of` has them as they can be compared."""

    def __init__(self, daemon: DaemonHarness) -> None:
        self.of: dict[str, Response] = {}
        self._connection = UnixConnection(daemon.socket)

    def ask(self, path: str, *, method: str = "GET", body: object = None, range_: str | None = None) -> Any:
        """Send one request, and keep the response; return its JSON, None if it has none."""
        content = None if body is None else json.dumps(body)
        headers = {} if content is None else {"Content-Type": "application/json"}
        headers |= {} if range_ is None else {"Range": range_}
        self._connection.request(method, path, content, headers)
        response = self._connection.getresponse()
        data = response.read()
        is_json = "json" in response.headers.get("Content-Type", "")
        kept = _without_nul(UNLIKE.sub(b"", data)) if is_json else data
        left_out = {"Content-Length"} if is_json or response.status == 416 else set()
        shown = [response.headers.get(name) for name in HEADERS if name not in left_out]
        self.of[" ".join((method, path, content or "", range_ or ""))] = (response.status, *shown, kept)
        return json.loads(data) if data and is_json else None

    def close(self) -> None:
        self._connection.close()


def responses(daemon: DaemonHarness, ids: Sequence[str]) -> dict[str, Response]:
    """Return what a daemon answers about jobs and all that belongs to them, and about its lists."""
    with closing(Responses(daemon)) as found:
        for path in PATHS:
            found.ask(path)
        for path in LISTS:
            _ask_pages(found, f"{path}&limit={PAGE}", "before")
        for job_id in ids:
            _ask_about(found, job_id)
        return found.of


def _ask_about(found: Responses, job_id: str) -> None:
    job = found.ask(f"/runner-jobs/{job_id}")
    found.ask(f"/runner-jobs/{job_id[-12:]}")
    _ask_pages(found, f"/runner-jobs/{job_id}/events?limit=7", "after")
    for attempt in range(1, job["attempt"] + 1):
        _ask_for_output(found, f"/runner-jobs/{job_id}/diff?attempt={attempt}", RANGES[:1] + ODD_RANGES)
    for step in job["steps"]:
        place = f"/runner-jobs/{job_id}/steps/{step['id']}"
        found.ask(f"{place}/log", method="HEAD")
        _ask_for_output(found, f"{place}/log", RANGES)
        _ask_for_output(found, f"{place}/log?raw=true", ())
        _ask_for_output(found, f"{place}/conversation", RANGES[:1])
    if job["deliveryId"]:
        place = f"/deliveries/{job['deliveryId']}"
        found.ask(place)
        found.ask(f"{place}/body")
        found.ask(f"{place}/replay", method="POST", body={"dryRun": True})
        found.ask("/rails/explain", method="POST", body={"deliveryId": job["deliveryId"]})


def _ask_for_output(found: Responses, path: str, ranges: Sequence[str]) -> None:
    found.ask(path)
    for range_ in ranges:
        found.ask(path, range_=range_)


def _ask_pages(found: Responses, path: str, cursor: str) -> None:
    page = found.ask(path)
    while page.get("next"):
        page = found.ask(f"{path}&{cursor}={page['next']}")


def events_after(daemon: DaemonHarness, cursors: Sequence[int], count: int) -> Iterator[tuple[int, list[bytes]]]:
    """Yield what the event stream has after each of some cursors, without NUL."""
    for cursor in cursors:
        yield cursor, [_without_nul(frame) for frame in daemon.stream(f"/events?after={cursor}", count)]


def _without_nul(text: bytes) -> bytes:
    return text.replace(b"\\u0000", "\N{REPLACEMENT CHARACTER}".encode())
