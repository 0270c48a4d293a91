"""JSON responses, and problem documents (RFC 9457) for everything that a handler raises."""

import errno
import logging
import re
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from types import NoneType

import msgspec
from aiohttp import web
from yarl import URL

from shared.api import Problem
from shared.deliveries import WebhookResponse
from shared.ids import new_id
from shared.models import Verdict
from shared.protocol import STATUS_BY_CODE
from stitcherd.errors import Refusal
from stitcherd.metrics import REFUSALS
from stitcherd.store.errors import StorageUnavailable

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

STORAGE_RETRY_SECONDS = 5
NO_RESOURCES = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}
ACCEPTED_VERDICTS = {Verdict.ALLOWED, Verdict.WAITING, Verdict.DECIDING}
CODE_OF_STATUS = {
    400: "bad_request",
    404: "not_found",
    405: "bad_request",
    413: "too_large",
    415: "unsupported_media_type",
}

log = logging.getLogger(__name__)
_encoder = msgspec.json.Encoder()


def json_response(message: object, status: int = 200) -> web.Response:
    """Return a message as JSON."""
    return web.Response(body=_encoder.encode(message), status=status, content_type="application/json")


def webhook_response(result: WebhookResponse) -> web.Response:
    """Return the result of a webhook or a replay: 202 if it stored a job, else 200."""
    return json_response(result, 202 if result.verdict in ACCEPTED_VERDICTS else 200)


def problem_response(refusal: Refusal, status: int | None = None) -> web.Response:
    """Return the problem document of a refusal; `status` overrides the status of its code."""
    status = status or STATUS_BY_CODE[refusal.code]
    REFUSALS.labels(refusal.code).inc()
    problem = Problem(
        type="about:blank",
        title=HTTPStatus(status).phrase,
        status=status,
        code=refusal.code,
        detail=_escape_surrogates(refusal.detail),
        hint=refusal.hint,
        **refusal.more,
    )
    response = web.Response(body=_encoder.encode(problem), status=status, content_type="application/problem+json")
    if refusal.retry_after is not None:
        response.headers["Retry-After"] = str(refusal.retry_after)
    if refusal.code == "too_large":
        response.force_close()  # the rest of the body is not read
    return response


def encode_response(response: web.Response) -> bytes:
    """Return the bytes of a response for a connection that is closed after it, without having read a request."""
    body = bytes(response.body) if isinstance(response.body, bytes) else b""
    fields = {**response.headers, "Content-Length": str(len(body)), "Connection": "close"}
    head = [f"HTTP/1.1 {response.status} {response.reason}", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*head, "", ""]).encode() + body


@web.middleware
async def problem_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Convert exceptions of a handler into problem documents."""
    try:
        return await handler(request)
    except Refusal as refusal:
        return problem_response(refusal)
    except StorageUnavailable as error:
        return problem_response(
            Refusal(
                "storage_unavailable",
                f"nothing was stored: {error}",
                "free some disk space, or end what locks the database",
                retry_after=STORAGE_RETRY_SECONDS,
            )
        )
    except web.HTTPException as error:  # from aiohttp: no such route, wrong method, body too large
        if error.status < HTTPStatus.BAD_REQUEST:
            raise
        return _convert_aiohttp_error(request, error, await _similar_path(request) if error.status == 404 else None)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in NO_RESOURCES:
            return problem_response(Refusal("busy", f"{error.strerror}", retry_after=STORAGE_RETRY_SECONDS))
        error_id = new_id()
        log.exception("%s %r failed with an internal error (%s)", request.method, request.path, error_id)
        return problem_response(Refusal("internal", f"internal error; see {error_id} in the daemon's log"))


async def _similar_path(request: web.Request) -> str | None:
    """Return the path of a route that differs from the requested one only in its slashes, None if there is none."""
    path = re.sub("/+", "/", request.rel_url.raw_path).rstrip("/")
    if not path or path == request.rel_url.raw_path:
        return None
    found = await request.app.router.resolve(request.clone(rel_url=URL.build(path=path, encoded=True)))
    return path if isinstance(found.http_exception, NoneType | web.HTTPMethodNotAllowed) else None


def _convert_aiohttp_error(request: web.Request, error: web.HTTPException, similar: str | None) -> web.Response:
    code = CODE_OF_STATUS.get(error.status, "bad_request")
    details = {
        404: f"there is nothing at {request.path}",
        405: f"{request.path} does not support {request.method}",
        413: "the body is larger than http.max_body",
    }
    hint = f"write {similar}, with these slashes and no others" if similar else None
    response = problem_response(Refusal(code, details.get(error.status, error.reason), hint), error.status)
    if "Allow" in error.headers:
        response.headers["Allow"] = error.headers["Allow"]
    return response


def _escape_surrogates(text: str) -> str:
    """Return text that can be encoded as JSON: aiohttp passes odd bytes of headers on as lone surrogates."""
    return text.encode(errors="backslashreplace").decode()
