"""Webhook deliveries: the source is chosen by the path, and the delivery is stored before it is answered."""

from aiohttp import web

from stitcherd import crash_points
from stitcherd.config.settings import SourceSettings
from stitcherd.errors import Refusal
from stitcherd.http.requests import read_body
from stitcherd.http.responses import webhook_response
from stitcherd.http.state import STATE, AppState
from stitcherd.metrics import count_delivery
from stitcherd.sources import SOURCES
from stitcherd.sources.payload import FORM


async def receive(request: web.Request) -> web.Response:
    """Verify, decide and store a webhook."""
    state = request.app[STATE]
    source = _find_source(state, request.match_info.get("source"))
    state.refuse_if_stopping()
    body = await _read_body(request, state.settings.http.max_body)
    form = _is_form(request, source)
    result = await state.intake.deliver(source, request.headers, body, form=form)
    count_delivery(source.name, result.verdict)
    crash_points.reach_later("after_answer")
    return webhook_response(result)


def _find_source(state: AppState, name: str | None) -> SourceSettings:
    sources = state.settings.sources
    if name is None:  # the path without a name belongs to the first source of kind mosaic
        source = next((source for source in sources.values() if source.kind == "mosaic"), None)
    else:
        source = sources.get(name)
    if source is None:
        raise Refusal("not_found", f"there is no source {name!r}" if name else "there is no source of kind mosaic")
    if not source.secrets:
        raise Refusal("not_found", f"source {source.name} takes no webhooks: it has no secrets, and is polled")
    return source


async def _read_body(request: web.Request, limit: int) -> bytes:
    if (request.content_length or 0) > limit:
        raise Refusal("too_large", f"the body has {request.content_length} bytes, and {limit} are allowed")
    body = await read_body(request)
    if len(body) > limit:
        raise Refusal("too_large", f"the body is larger than {limit} bytes")
    return body


def _is_form(request: web.Request, source: SourceSettings) -> bool:
    """Return whether the body is a form; raise Refusal for content types that the source does not send."""
    encoding = request.headers.get("Content-Encoding")
    if encoding is not None:
        raise Refusal("unsupported_media_type", f"Content-Encoding {encoding!r} is not supported: send the plain body")
    accepted = SOURCES[source.kind].content_types
    if "Content-Type" not in request.headers or request.content_type not in accepted:
        given, supported = request.headers.get("Content-Type", "missing"), " and ".join(sorted(accepted))
        raise Refusal("unsupported_media_type", f"Content-Type is {given}; supported: {supported}")
    if (request.charset or "utf-8").lower() not in {"utf-8", "utf8"}:
        raise Refusal("unsupported_media_type", f"charset {request.charset} is not supported: send UTF-8")
    return request.content_type == FORM
