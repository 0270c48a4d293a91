"""Strict parsing of a request's query and body: anything unknown or malformed is refused by name."""

import asyncio
import re
from collections.abc import Callable, Iterable
from datetime import datetime
from enum import StrEnum
from typing import TypeVar

import msgspec
from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from shared.protocol import PAGE_DEFAULT, PAGE_MAX
from stitcherd.errors import Refusal

B = TypeVar("B", bound=BaseModel)
E = TypeVar("E", bound=StrEnum)
V = TypeVar("V")

BODY_SECONDS = 30.0
CURSOR_MAX = 2**63 - 1
TIME = re.compile(  # RFC 3339, 5.6
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII | re.IGNORECASE
)


class RequestBody(BaseModel):
    """A JSON body: camelCase, strict, without unknown fields."""

    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel, frozen=True)


class EmptyBody(RequestBody):
    """The body of a request that has no parameters: an empty object."""


class Query:
    """The query of a request; a parameter that is not `known` raises Refusal."""

    def __init__(self, request: web.Request, known: Iterable[str]) -> None:
        self._values = request.query
        unknown = next((name for name in self._values if name not in known), None)
        if unknown is not None:
            raise Refusal("invalid", f"unknown parameter {unknown!r}", f"known: {', '.join(known) or 'none'}")

    def text(self, name: str) -> str | None:
        """Return a parameter that may be given once."""
        values = self._values.getall(name, [])
        if len(values) > 1:
            raise Refusal("invalid", f"{name} may be given only once")
        return values[0] if values else None

    def each(self, name: str, convert: Callable[[str], V], known: Iterable[object] = ()) -> tuple[V, ...]:
        """Return a parameter that may be repeated, each value passed to `convert`, which raises ValueError."""
        values = []
        for value in self._values.getall(name, []):
            try:
                values.append(convert(value))
            except ValueError:
                raise Refusal("invalid", f"{name}: {value!r} is none of {', '.join(map(str, known))}") from None
        return tuple(values)

    def number(self, name: str, default: int, least: int, most: int) -> int:
        """Return an integer between two bounds."""
        value = self.text(name)
        if value is None:
            return default
        if not (value.isascii() and value.isdigit() and len(value) < 20 and least <= int(value) <= most):
            raise Refusal("invalid", f"{name} must be an integer from {least} to {most}, not {value!r}")
        return int(value)

    def choice(self, name: str, known: type[E], default: E) -> E:
        """Return one of the values of an enumeration."""
        value = self.text(name)
        if value is None:
            return default
        if value not in {*known}:
            raise Refusal("invalid", f"{name}: {value!r} is none of {', '.join(known)}")
        return known(value)

    def time(self, name: str, default: int) -> int:
        """Return a time in milliseconds since 1970, given as RFC 3339; an earlier one counts as 1970."""
        value = self.text(name)
        if value is None:
            return default
        try:
            found = datetime.fromisoformat(value.upper() if TIME.fullmatch(value) else "")
            return max(0, int(found.timestamp() * 1000))
        except (ValueError, OverflowError):
            raise Refusal("invalid", f"{name}: {value!r} is not a time like 2026-11-01T00:00:00Z") from None

    def flag(self, name: str) -> bool:
        """Return a boolean, false where it is not given."""
        value = self.text(name)
        if value not in {None, "true", "false"}:
            raise Refusal("invalid", f"{name} must be true or false, not {value!r}")
        return value == "true"

    @property
    def limit(self) -> int:
        """Return the maximum length of a page."""
        return self.number("limit", PAGE_DEFAULT, 1, PAGE_MAX)


QUERY = web.RequestKey("query", Query)  # set for routes that declare their query parameters


async def read_body(request: web.Request) -> bytes:
    """Return the raw body; raise Refusal if it is incomplete or takes longer than `BODY_SECONDS`."""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.read()  # raises HTTPRequestEntityTooLarge above the app's limit
    except TimeoutError:
        raise Refusal("bad_request", f"the body did not arrive within {BODY_SECONDS:g} s") from None
    except (web.RequestPayloadError, ConnectionError) as error:  # the client may be gone
        raise Refusal("bad_request", f"the body is broken: {error}") from error
    except RuntimeError as error:  # aiohttp's, where the connection was closed before the body was read
        if request.protocol.connected:
            raise
        raise Refusal("bad_request", "the connection was closed before the body had arrived") from error


async def parse_body(request: web.Request, model: type[B]) -> B:
    """Return the JSON body as a model; an empty body is an empty object. Raises Refusal."""
    if request.content_type not in {"application/json", "application/octet-stream"}:
        raise Refusal("unsupported_media_type", f"the body is {request.content_type}, not application/json")
    text = (await read_body(request)).strip() or b"{}"
    try:
        parsed = model.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        if first["type"] == "json_invalid":
            raise Refusal("bad_request", f"the body is not JSON: {first['msg']}") from None
        field = ".".join(str(part) for part in first["loc"]) or "the body"
        fault = "unknown field" if first["type"] == "extra_forbidden" else first["msg"]
        raise Refusal("invalid", f"{field}: {fault}") from None
    try:
        msgspec.json.decode(text)  # pydantic accepts NaN and 1e999, which cannot be stored
    except msgspec.ValidationError as error:
        raise Refusal("invalid", f"the body has a number that cannot be represented: {error}") from None
    except msgspec.DecodeError as error:
        raise Refusal("bad_request", f"the body is not JSON: {error}") from None
    return parsed
