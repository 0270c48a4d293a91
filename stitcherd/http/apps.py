"""The two doors: which routes stand behind which, and who may knock."""

from ipaddress import ip_address
from typing import Any

from aiohttp import HttpVersion11, web

from stitcherd.errors import Refusal
from stitcherd.http.auth import TokenAuthenticator, peer_middleware
from stitcherd.http.openapi import OPENAPI
from stitcherd.http.responses import Handler, problem_middleware, problem_response
from stitcherd.http.routes import ROUTES, STREAM
from stitcherd.http.state import STATE, AppState


def public_app(house: AppState) -> web.Application:
    """Return the app for TCP: webhooks and probes for everybody, the API for whoever bears a token."""
    return _make_app(house, origin_middleware, TokenAuthenticator().identify)


def local_app(house: AppState) -> web.Application:
    """Return the app for the Unix socket: everything, for whoever could have started the daemon."""
    return _make_app(house, peer_middleware)


def _make_app(house: AppState, *middlewares: Any) -> web.Application:
    limit = house.settings.http.max_body + 1
    app = web.Application(middlewares=[problem_middleware, *middlewares], client_max_size=limit)
    app[STATE] = house
    # GET answers HEAD too, but for the stream, which has no end that HEAD could wait for.
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
    """Refuse pages of other sites (Origin), and names that only DNS rebinding would bring here (Host)."""
    if "Origin" in request.headers:
        raise Refusal("forbidden", "requests from web pages are not taken: they carry an Origin header")
    host = _host_name(request.headers.get("Host", ""))
    if not _is_loopback(host) and host not in request.app[STATE].settings.http.hosts:
        raise Refusal("forbidden", f"Host {host!r} is neither loopback nor in http.hosts", "add it to http.hosts")
    return await handler(request)


async def _handle_expect(request: web.Request) -> web.Response | None:
    """Tell a client that waits with its body to send it; refuse to be asked for anything else."""
    expected = request.headers["Expect"]
    if expected.lower() != "100-continue":
        return problem_response(Refusal("bad_request", f"Expect takes 100-continue, not {expected!r}"), 417)
    if request.version >= HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # of the answer itself nothing is sent yet
    return None


def _host_name(host: str) -> str:
    """Return a Host header without its port and brackets."""
    name, _, port = host.rpartition(":")
    bare = name if name and port.isdigit() else host
    return bare.strip("[]").rstrip(".").lower()


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
