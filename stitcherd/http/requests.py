"""What a request asks for: its query and body, read strictly; anything else is a 422 that names it."""

import asyncio
from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec
from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from shared.protocol import PAGE_DEFAULT, PAGE_MAX
from stitcherd.errors import Refusal

B = TypeVar("B", bound=BaseModel)
V = TypeVar("V")

BODY_SECONDS = 30.0
CURSOR_MAX = 2**63 - 1
QUERY_NAMES = web.RequestKey("query_names", tuple[str, ...])  # what the route knows


class Query:
    """The query of a request, which may have only the names that its route knows."""

    def __init__(self, request: web.Request) -> None:
        self._values = request.query
        known = request[QUERY_NAMES]
        for name in self._values:
            if name not in known:
                raise Refusal("invalid", f"unknown parameter {name!r}", f"known: {', '.join(known) or 'none'}")

    def text(self, name: str) -> str | None:
        """Return a parameter that may stand once."""
        found = self._values.getall(name, [])
        if len(found) > 1:
            raise Refusal("invalid", f"{name} may stand only once")
        return found[0] if found else None

    def each(self, name: str, read: Callable[[str], V], known: Iterable[object] = ()) -> tuple[V, ...]:
        """Return a parameter that may repeat, each value read by `read`, which raises ValueError."""
        values = []
        for value in self._values.getall(name, []):
            try:
                values.append(read(value))
            except ValueError:
                raise Refusal("invalid", f"{name}: {value!r} is none of {', '.join(map(str, known))}") from None
        return tuple(values)

    def number(self, name: str, default: int, least: int, most: int) -> int:
        """Return a whole number between two bounds."""
        value = self.text(name)
        if value is None:
            return default
        if not (value.isascii() and value.isdigit() and len(value) < 20 and least <= int(value) <= most):
            raise Refusal("invalid", f"{name} takes a whole number from {least} to {most}, not {value!r}")
        return int(value)

    @property
    def limit(self) -> int:
        """Return how long a page may be."""
        return self.number("limit", PAGE_DEFAULT, 1, PAGE_MAX)


async def read_body(request: web.Request) -> bytes:
    """Return the raw body, as far as the door's limit and the sender's time allow."""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.read()  # raises HTTPRequestEntityTooLarge as soon as the limit is passed
    except TimeoutError:
        raise Refusal("bad_request", f"the body did not arrive within {BODY_SECONDS:g} s") from None
    except (web.RequestPayloadError, ConnectionError) as error:  # nobody may be there any more to hear it
        raise Refusal("bad_request", f"the body is broken: {error}") from error


async def parse_body(request: web.Request, model: type[B]) -> B:
    """Return the JSON body as a model; an empty body is an empty object."""
    if request.content_type not in {"application/json", "application/octet-stream"}:
        raise Refusal("unsupported_media_type", f"the body is {request.content_type}, not application/json")
    raw = await read_body(request)
    text = raw.strip() or b"{}"
    try:
        asked = model.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        if first["type"] == "json_invalid":
            raise Refusal("bad_request", f"the body is not JSON: {first['msg']}") from None
        where = ".".join(str(part) for part in first["loc"]) or "the body"
        what = "unknown field" if first["type"] == "extra_forbidden" else first["msg"]
        raise Refusal("invalid", f"{where}: {what}") from None
    try:
        msgspec.json.decode(text)  # pydantic also takes NaN and 1e999, which could not be stored as what they are
    except msgspec.ValidationError as error:
        raise Refusal("invalid", f"the body has a number that no program can keep: {error}") from None
    except msgspec.DecodeError as error:
        raise Refusal("bad_request", f"the body is not JSON: {error}") from None
    return asked


class RequestBody(BaseModel):
    """A body: camelCase, strict, and nothing that is not known."""

    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel, frozen=True)
