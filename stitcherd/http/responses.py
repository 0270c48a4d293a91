"""Answers: a noun as JSON, a refusal as a problem document (RFC 9457), and nothing else as a 500."""

import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web

from shared.ids import new_id
from shared.models import Problem
from shared.protocol import STATUS_OF
from stitcherd.refusal import Refusal
from stitcherd.store.writer import StorageUnavailable

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

RETRY_AFTER = 5  # seconds, when the store takes nothing

CODE_OF = {400: "bad_request", 404: "not_found", 405: "bad_request", 413: "too_large", 415: "unsupported_media_type"}

log = logging.getLogger(__name__)
_encoder = msgspec.json.Encoder()


def answer(noun: Any, status: int = 200) -> web.Response:
    """Return a noun as a JSON answer."""
    return web.Response(body=_encoder.encode(noun), status=status, content_type="application/json")


def problem(refusal: Refusal, status: int | None = None) -> web.Response:
    """Return the problem document of a refusal, with the status of its code where no other is given."""
    status = status or STATUS_OF[refusal.code]
    document = Problem(
        type="about:blank",
        title=HTTPStatus(status).phrase,
        status=status,
        code=refusal.code,
        detail=_sayable(refusal.detail),
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
async def in_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever a handler raises into a problem document."""
    try:
        return await handler(request)
    except Refusal as refusal:
        return problem(refusal)
    except StorageUnavailable as fault:
        return problem(
            Refusal(
                "storage_unavailable",
                f"nothing was stored: {fault}",
                "free some disk space, or end what holds the database",
                retry_after=RETRY_AFTER,
            )
        )
    except web.HTTPException as error:  # aiohttp's own: no route, wrong method, body too big
        if error.status < HTTPStatus.BAD_REQUEST:
            raise
        return _of_aiohttp(request, error)
    except Exception:
        trouble = new_id()
        log.exception("%s %r failed by a fault of Stitcher's own (%s)", request.method, request.path, trouble)
        return problem(Refusal("internal", f"a fault in Stitcher; the daemon's log has it under {trouble}"))


def _of_aiohttp(request: web.Request, error: web.HTTPException) -> web.Response:
    code = CODE_OF.get(error.status, "bad_request")
    details = {
        404: f"there is nothing at {request.path}",
        405: f"{request.method} is not for {request.path}",
        413: "the body is larger than this door takes",
    }
    response = problem(Refusal(code, details.get(error.status, error.reason)), error.status)
    if "Allow" in error.headers:
        response.headers["Allow"] = error.headers["Allow"]
    return response


def _sayable(text: str) -> str:
    """Return text that JSON can hold: servers hand on the odd bytes of a header as lone surrogates."""
    return text.encode(errors="backslashreplace").decode()
