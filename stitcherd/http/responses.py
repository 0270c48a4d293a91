"""Answers: a noun as JSON, a refusal as a problem document (RFC 9457), and nothing else as a 500."""

import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web

from shared.api import Problem
from shared.ids import new_id
from shared.protocol import STATUS_BY_CODE
from stitcherd.errors import Refusal
from stitcherd.store.writer import StorageUnavailable

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

RETRY_AFTER_SECONDS = 5  # seconds, when the store takes nothing

CODE_OF_STATUS = {
    400: "bad_request",
    404: "not_found",
    405: "bad_request",
    413: "too_large",
    415: "unsupported_media_type",
}

log = logging.getLogger(__name__)
_encoder = msgspec.json.Encoder()


def json_response(noun: Any, status: int = 200) -> web.Response:
    """Return a noun as a JSON answer."""
    return web.Response(body=_encoder.encode(noun), status=status, content_type="application/json")


def problem_response(refusal: Refusal, status: int | None = None) -> web.Response:
    """Return the problem document of a refusal, with the status of its code where no other is given."""
    status = status or STATUS_BY_CODE[refusal.code]
    document = Problem(
        type="about:blank",
        title=HTTPStatus(status).phrase,
        status=status,
        code=refusal.code,
        detail=_escape_surrogates(refusal.detail),
        hint=refusal.hint,
    )
    response = web.Response(
        body=_encoder.encode({**msgspec.to_builtins(document), **refusal.more}),
        status=status,
        content_type="application/problem+json",
    )
    if refusal.retry_after is not None:
        response.headers["Retry-After"] = str(refusal.retry_after)
    if refusal.code == "too_large":
        response.force_close()  # the rest of the body is not read
    return response


@web.middleware
async def problem_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever a handler raises into a problem document."""
    try:
        return await handler(request)
    except Refusal as refusal:
        return problem_response(refusal)
    except StorageUnavailable as fault:
        return problem_response(
            Refusal(
                "storage_unavailable",
                f"nothing was stored: {fault}",
                "free some disk space, or end what holds the database",
                retry_after=RETRY_AFTER_SECONDS,
            )
        )
    except web.HTTPException as error:  # aiohttp's own: no route, wrong method, body too big
        if error.status < HTTPStatus.BAD_REQUEST:
            raise
        return _convert_aiohttp_error(request, error)
    except Exception:
        trouble = new_id()
        log.exception("%s %r failed by a fault of Stitcher's own (%s)", request.method, request.path, trouble)
        return problem_response(Refusal("internal", f"a fault in Stitcher; the daemon's log has it under {trouble}"))


def _convert_aiohttp_error(request: web.Request, error: web.HTTPException) -> web.Response:
    code = CODE_OF_STATUS.get(error.status, "bad_request")
    details = {
        404: f"there is nothing at {request.path}",
        405: f"{request.method} is not for {request.path}",
        413: "the body is larger than this door takes",
    }
    response = problem_response(Refusal(code, details.get(error.status, error.reason)), error.status)
    if "Allow" in error.headers:
        response.headers["Allow"] = error.headers["Allow"]
    return response


def _escape_surrogates(text: str) -> str:
    """Return text that JSON can hold: servers hand on the odd bytes of a header as lone surrogates."""
    return text.encode(errors="backslashreplace").decode()
