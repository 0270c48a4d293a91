"""The two HTTP applications: the public one on TCP, and the local one on the Unix socket."""

from typing import Any

from aiohttp import HttpVersion11, web

from stitcherd.config.host_names import is_loopback, requested_host
from stitcherd.errors import Refusal
from stitcherd.http.auth import WRONG_TOKENS, PeerAuthenticator, WrongTokens, identify_token
from stitcherd.http.openapi import OPENAPI
from stitcherd.http.responses import Handler, problem_middleware, problem_response
from stitcherd.http.routes import ROUTES, STREAM
from stitcherd.http.server import track_request
from stitcherd.http.state import STATE, AppState

PROBES = {"/healthz", "/readyz"}  # load balancers reach them by any name, and strangers learn nothing there


def public_app(state: AppState) -> web.Application:
    """Return the app for TCP: webhooks and probes for everyone, the API for holders of a token."""
    app = _make_app(state, track_request, problem_middleware, origin_middleware, identify_token)
    app[WRONG_TOKENS] = WrongTokens()
    return app


def local_app(state: AppState) -> web.Application:
    """Return the app for the Unix socket: everything, for the daemon's own user and root."""
    return _make_app(state, problem_middleware, PeerAuthenticator().identify)


def _make_app(state: AppState, *middlewares: Any) -> web.Application:
    body_max = state.settings.http.max_body + 1
    app = web.Application(middlewares=middlewares, client_max_size=body_max)
    app[STATE] = state
    # GET routes also answer HEAD, except the event stream, which has no end.
    app.add_routes(
        web.get(
            route.path, route.__call__, allow_head=STREAM not in route.answers.values(), expect_handler=_handle_expect
        )
        if route.method == "GET"
        else web.route(route.method, route.path, route.__call__, expect_handler=_handle_expect)
        for route in (*ROUTES, OPENAPI)
    )
    return app


@web.middleware
async def origin_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse requests from web pages (Origin), and host names that point here only by DNS rebinding (Host).

    Browsers always send a Host, so a request without one (HTTP/1.0) is none of theirs.
    """
    if "Origin" in request.headers:
        raise Refusal("forbidden", "requests with an Origin header are not accepted: they come from web pages")
    header = request.headers.get("Host")
    if header is not None and request.path not in PROBES:
        host = requested_host(header)
        if not is_loopback(host) and host not in request.app[STATE].settings.http.hosts:
            raise Refusal("forbidden", f"Host {host!r} is neither loopback nor in http.hosts", "add it to http.hosts")
    return await handler(request)


async def _handle_expect(request: web.Request) -> web.Response | None:
    """Answer `Expect: 100-continue`; refuse any other expectation."""
    expected = request.headers["Expect"]
    if expected.lower() != "100-continue":
        return problem_response(Refusal("bad_request", f"Expect must be 100-continue, not {expected!r}"), 417)
    if request.version >= HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # nothing of the response itself is sent yet
    return None
