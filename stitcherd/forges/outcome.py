"""What a response means for what was wanted: it is done, is tried again, waits for the credential, or is refused."""

import re
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from msgspec import Struct

from stitcherd.forges.base import Call, Forge, RequestFailed, Response, UnexpectedResponse
from stitcherd.forges.models import Repository
from stitcherd.forges.rate_limit import RequestLimit, exceeded_limit, retry_after

CREDENTIAL_CHECK = 300_000  # milliseconds between two looks whether a refused credential is accepted again
_FIRST_DELAY = 5_000
_LONGEST_DELAY = 900_000
_SPREAD = 0.2  # of a delay, to both sides
_LOCKED = re.compile(r"\b(?:locked|archived)\b", re.IGNORECASE)  # in a 403: nobody may write there
_TEMPORARY = frozenset({408, 425})
_EARLY_TRIES = 5  # which end ten minutes after a push
_MESSAGE_MAX = 200  # characters

RejectionCode = Literal["locked", "deleted", "gone", "forbidden", "redirected", "refused"]
HoldCause = Literal["credential", "certificate", "rate_limit"]
Value = TypeVar("Value")


class Done(Struct, Generic[Value], frozen=True):
    """It is there; `repository` is where, if the request was redirected and the forge told that."""

    value: Value
    repository: Repository | None = None


class RetryAt(Struct, frozen=True):
    """The forge did not answer, or not as it should: to be tried again; `at` is in milliseconds since 1970.

    With `uncertain`, it may have done what was wanted nevertheless.
    """

    at: int
    reason: str
    uncertain: bool = False


class Hold(Struct, frozen=True):
    """Nothing may be sent with this credential until then; what was wanted has used no try."""

    until: int
    reason: str
    cause: HoldCause


class Rejected(Struct, frozen=True):
    """It is refused for good; `hint` says what to do, None if nothing helps."""

    code: RejectionCode
    detail: str
    hint: str | None = None


Outcome: TypeAlias = Done[Value] | RetryAt | Hold | Rejected


def outcome_of(
    forge: Forge,
    call: Call[Value],
    result: Response | RequestFailed,
    limit: RequestLimit,
    now: int,
    tries: int,
    spread: float,
) -> Outcome[Value]:
    """Return what the result of a call means.

    `limit` is the state after it, `tries` the number of tries so far, from 1, and `spread` is from -1 to 1. Raises
    AccountChanged.
    """
    if isinstance(result, RequestFailed):
        return _of_failure(call, result, now + retry_delay(tries, spread), now)
    if result.status in call.expected:
        try:
            return Done(call.read(result), result.repository)
        except UnexpectedResponse as error:
            return RetryAt(now + retry_delay(tries, spread), str(error), call.request.writes)
    return _of_refusal(forge, call, result, limit, now, tries, spread)


def retry_delay(tries: int, spread: float) -> int:
    """Return the milliseconds before the next try, three times as long after each; `spread` is from -1 to 1."""
    delay = min(_FIRST_DELAY * 3 ** min(tries - 1, 10), _LONGEST_DELAY)
    return int(delay * (1 + _SPREAD * spread))


def _of_failure(call: Call[Value], failure: RequestFailed, again: int, now: int) -> Outcome[Value]:
    match failure.kind:
        case "redirected":
            return Rejected("redirected", str(failure), "compare api in stitcherd.toml with the address of the forge")
        case "certificate":
            return Hold(now + CREDENTIAL_CHECK, str(failure), "certificate")
    return RetryAt(again, str(failure), call.request.writes and failure.uncertain)


def _of_refusal(
    forge: Forge, call: Call[Value], response: Response, limit: RequestLimit, now: int, tries: int, spread: float
) -> Outcome[Value]:
    detail = f"{forge.kind} answered {response.status}{_message(response)}"
    if exceeded_limit(response):
        return Hold(limit.held_until, limit.reason, "rate_limit")
    if response.status == 401:
        return Hold(now + CREDENTIAL_CHECK, f"the token is not accepted: {detail}", "credential")
    early = call.is_early is not None and tries <= _EARLY_TRIES and call.is_early(response)
    if 400 <= response.status < 500 and response.status not in _TEMPORARY and not early:
        return _rejection(forge, call, response, detail)
    at = now + retry_delay(tries, spread)
    return RetryAt(max(at, retry_after(response, now) or 0), detail, call.request.writes and not early)


def _rejection(forge: Forge, call: Call[Value], response: Response, detail: str) -> Rejected:
    if response.status == 423 or (response.status == 403 and _LOCKED.search(response.text)):
        return Rejected("locked", detail)
    if response.status == 403:
        needed = forge.rights.get(call.operation)
        return Rejected("forbidden", detail, f"the token needs {needed}" if needed else None)
    if response.status in {404, 410}:
        return Rejected("deleted" if call.request.method in {"PATCH", "PUT"} else "gone", detail)
    return Rejected("refused", detail)


def _message(response: Response) -> str:
    """Return what the response says, on one line; empty if it says nothing."""
    content = response.content
    found = (content.get("message") or content.get("error")) if isinstance(content, dict) else None
    words = " ".join(_text(found).split()) if found else ""
    return f": {words[:_MESSAGE_MAX]}" if words else ""


def _text(message: Any) -> str:
    """Return a message as text: GitLab lists what is wrong, or has it by field."""
    if isinstance(message, dict):
        return "; ".join(f"{field}: {_text(each)}" for field, each in message.items())
    return ", ".join(map(_text, message)) if isinstance(message, list) else str(message)
