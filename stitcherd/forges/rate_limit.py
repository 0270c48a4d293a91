"""What one credential may send, and when: the pace of writes, and the limits that a forge announces or enforces.

Times are milliseconds since 1970, by our clock; the functions take it as `now`.
"""

from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Literal

import msgspec
from msgspec import Struct

from stitcherd.forges.base import Request, Response

WRITE_INTERVAL = 1_000  # between two requests that write
FIRST_WAIT = 60_000  # after a secondary limit that names no time; doubled by each further one
LONGEST_WAIT = 900_000
LONGEST_HOLD = 86_400_000  # whatever a header says, it is tried again after a day

LimitKind = Literal["primary", "secondary"]
_SECONDARY = ("secondary rate limit", "abuse detection", "abuse rate limit")  # in the text of a 403 or 429
_REMAINING = ("X-RateLimit-Remaining", "RateLimit-Remaining")
_RESET = ("X-RateLimit-Reset", "RateLimit-Reset")


class RequestLimit(Struct, frozen=True, kw_only=True):
    """The state of one credential; each method returns the next one.

    `held_until` is the end of a limit, whose kind is `reason`. `hits` counts secondary limits in a row.
    """

    next_write: int = 0
    held_until: int = 0
    reason: str = ""
    hits: int = 0

    def ready_at(self, request: Request, now: int) -> int:
        """Return from when on a request may be sent: now, or later."""
        return max(now, self.held_until, self.next_write if request.writes else 0)

    def sent(self, request: Request, now: int) -> "RequestLimit":
        """Return the state after a request was sent."""
        if not request.writes:
            return self
        return msgspec.structs.replace(self, next_write=now + WRITE_INTERVAL)

    def received(self, request: Request, response: Response, now: int) -> "RequestLimit":
        """Return the state after a response; one that was overtaken by a limit does not end it."""
        if (kind := exceeded_limit(response)) is not None:
            hits = self.hits + 1 if kind == "secondary" else self.hits
            until = _end_of_limit(response, kind, hits, now)
            return self._held(until, f"{kind} rate limit", hits)
        if _number(response, _REMAINING) == 0 and (reset := _reset(response, now)) is not None:
            return self._held(reset, "primary rate limit", self.hits)
        if response.status < 400 and request.writes and now >= self.held_until:
            return msgspec.structs.replace(self, hits=0)
        return self

    def _held(self, until: int, reason: str, hits: int) -> "RequestLimit":
        if until < self.held_until:
            return msgspec.structs.replace(self, hits=hits)
        return msgspec.structs.replace(self, held_until=until, reason=reason, hits=hits)


def exceeded_limit(response: Response) -> LimitKind | None:
    """Return which limit a response says was exceeded; None for any other response, also any other 403."""
    if response.status not in {403, 429}:
        return None
    if any(text in response.text.lower() for text in _SECONDARY):
        return "secondary"
    if _number(response, _REMAINING) == 0:
        return "primary"
    if response.status == 429 or "Retry-After" in response.headers:
        return "secondary"
    return None


def retry_after(response: Response, now: int) -> int | None:
    """Return the time of the header Retry-After, in seconds or as a date; None if there is none that can be read."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdecimal():
        return now + min(int(text[:9]) * 1000, LONGEST_HOLD)
    date = _date(text)
    return None if date is None else now + _bounded(date - _server_now(response, now))


def _end_of_limit(response: Response, kind: LimitKind, hits: int, now: int) -> int:
    announced = retry_after(response, now)
    if announced is None and kind == "primary":
        announced = _reset(response, now)
    if announced is None:
        announced = now + min(FIRST_WAIT * 2 ** min(max(hits, 1) - 1, 8), LONGEST_WAIT)
    return max(announced, now + WRITE_INTERVAL)


def _reset(response: Response, now: int) -> int | None:
    """Return when the limit is reset, by the clock of the forge if its response has the date."""
    seconds = _number(response, _RESET)
    if seconds is None:
        return None
    return now + _bounded(seconds * 1000 - _server_now(response, now))


def _bounded(wait: int) -> int:
    return min(max(wait, 0), LONGEST_HOLD)


def _server_now(response: Response, now: int) -> int:
    date = _date(response.headers.get("Date", ""))
    return now if date is None else date


def _date(text: str) -> int | None:
    try:
        date = parsedate_to_datetime(text)
        return int((date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None


def _number(response: Response, names: tuple[str, ...]) -> int | None:
    for name in names:
        text = response.headers.get(name, "").strip()
        if text.isascii() and text.isdecimal():
            return int(text[:15])
    return None
