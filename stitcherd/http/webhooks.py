"""The webhooks' door: bytes in, a durable answer out; the source is chosen by the path."""

from aiohttp import web

from shared.models import Verdict
from stitcherd.config.settings import SourceSettings
from stitcherd.errors import Refusal
from stitcherd.http.requests import read_body
from stitcherd.http.responses import json_response
from stitcherd.http.state import STATE, AppState
from stitcherd.sources import SOURCES

FORM = "application/x-www-form-urlencoded"
ACCEPTED_VERDICTS = {Verdict.ALLOWED, Verdict.WAITING, Verdict.DECIDING}
SHUTDOWN_RETRY_SECONDS = 5  # seconds, for a sender that comes while the daemon stops


async def receive(request: web.Request) -> web.Response:
    """Take one webhook: size, content type, signature, duplicate, parse, rails, commit, answer."""
    house = request.app[STATE]
    source = _find_source(house, request.match_info.get("source"))
    if house.stopping:
        raise Refusal("shutting_down", "the daemon is stopping", retry_after=SHUTDOWN_RETRY_SECONDS)
    body = await _read_body(request, house.settings.http.max_body)
    form = _is_form(request, source)
    said = await house.intake.deliver(source, request.headers, body, form=form)
    return json_response(said, 202 if said.verdict in ACCEPTED_VERDICTS else 200)


def _find_source(house: AppState, name: str | None) -> SourceSettings:
    sources = house.settings.sources
    if name is None:  # the original's own endpoint belongs to the first source of kind mosaic
        found = next((source for source in sources.values() if source.kind == "mosaic"), None)
    else:
        found = sources.get(name)
    if found is None:
        raise Refusal("not_found", f"there is no source {name!r}" if name else "there is no source of kind mosaic")
    return found


async def _read_body(request: web.Request, limit: int) -> bytes:
    if (request.content_length or 0) > limit:
        raise Refusal("too_large", f"the body has {request.content_length} bytes, and {limit} are allowed")
    body = await read_body(request)
    if len(body) > limit:
        raise Refusal("too_large", f"the body is larger than {limit} bytes")
    return body


def _is_form(request: web.Request, source: SourceSettings) -> bool:
    """Return whether the body is a form; raise Refusal for what this source does not send."""
    encoding = request.headers.get("Content-Encoding")
    if encoding is not None:
        raise Refusal("unsupported_media_type", f"Content-Encoding {encoding!r} is not taken: send the body as it is")
    accepted = SOURCES[source.kind].content_types
    if "Content-Type" not in request.headers or request.content_type not in accepted:
        given = request.headers.get("Content-Type", "missing")
        raise Refusal("unsupported_media_type", f"Content-Type is {given}, and {', '.join(sorted(accepted))} is taken")
    if (request.charset or "utf-8").lower() not in {"utf-8", "utf8"}:
        raise Refusal("unsupported_media_type", f"charset {request.charset} is not taken: send UTF-8")
    return request.content_type == FORM
