"""The webhooks' door: bytes in, a durable answer out; the source is chosen by the path."""

from aiohttp import web

from shared.models import Verdict
from stitcherd.api.answers import answer
from stitcherd.api.asked import bytes_of
from stitcherd.api.house import HOUSE, House
from stitcherd.refusal import Refusal
from stitcherd.settings.tables import SourceSettings
from stitcherd.sources import SOURCES

FORM = "application/x-www-form-urlencoded"
ACCEPTED = {Verdict.ALLOWED, Verdict.WAITING, Verdict.DECIDING}
RETRY_AFTER = 5  # seconds, for a sender that comes while the daemon stops


async def receive(request: web.Request) -> web.Response:
    """Take one webhook: size, content type, signature, duplicate, parse, rails, commit, answer."""
    house = request.app[HOUSE]
    source = _source(house, request.match_info.get("source"))
    if house.stopping:
        raise Refusal("shutting_down", "the daemon is stopping", retry_after=RETRY_AFTER)
    body = await _body(request, house.settings.http.max_body)
    form = _content_type(request, source)
    said = await house.intake.deliver(source, request.headers, body, form=form)
    return answer(said, 202 if said.verdict in ACCEPTED else 200)


def _source(house: House, name: str | None) -> SourceSettings:
    sources = house.settings.sources
    if name is None:  # the original's own endpoint belongs to the first source of kind mosaic
        found = next((source for source in sources.values() if source.kind == "mosaic"), None)
    else:
        found = sources.get(name)
    if found is None:
        raise Refusal("not_found", f"there is no source {name!r}" if name else "there is no source of kind mosaic")
    return found


async def _body(request: web.Request, limit: int) -> bytes:
    if (request.content_length or 0) > limit:
        raise Refusal("too_large", f"the body has {request.content_length} bytes, and {limit} are allowed")
    body = await bytes_of(request)
    if len(body) > limit:
        raise Refusal("too_large", f"the body is larger than {limit} bytes")
    return body


def _content_type(request: web.Request, source: SourceSettings) -> bool:
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
