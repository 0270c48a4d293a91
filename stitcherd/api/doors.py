"""The two doors: which routes stand behind which, and who may knock."""

from ipaddress import ip_address

from aiohttp import web

from stitcherd.api import deliveries, health, jobs, rails, webhooks
from stitcherd.api.answers import Handler, in_problems
from stitcherd.api.auth import operator_only
from stitcherd.api.house import HOUSE, House
from stitcherd.refusal import Refusal

PUBLIC = [
    web.post("/stitcher/webhook", webhooks.receive),
    web.post("/stitcher/webhook/{source}", webhooks.receive),
    web.get("/healthz", health.healthz),
    web.get("/readyz", health.readyz),
]
API = [
    web.get("/meta", health.meta),
    web.get("/rails", rails.show_rails),
    web.post("/stitcher/dispatch", jobs.dispatch),
    web.get("/runner-jobs", jobs.list_jobs),
    web.post("/runner-jobs", jobs.create_job),
    web.get("/runner-jobs/{job}", jobs.show_job),
    web.post("/runner-jobs/{job}/cancel", jobs.cancel_job),
    web.post("/runner-jobs/{job}/retry", jobs.retry_job),
    web.get("/runner-jobs/{job}/events", jobs.list_events),
    web.get("/runner-jobs/{job}/steps/{step}/log", jobs.show_log),
    web.get("/deliveries", deliveries.list_deliveries),
    web.get("/deliveries/{delivery}", deliveries.show_delivery),
    web.get("/deliveries/{delivery}/body", deliveries.show_body),
]


def public_door(house: House) -> web.Application:
    """Return the app for TCP: what forges and probes need, and nothing that a browser may ask."""
    app = web.Application(middlewares=[in_problems, no_browsers], client_max_size=house.settings.http.max_body + 1)
    app[HOUSE] = house
    app.add_routes(PUBLIC)
    return app


def operators_door(house: House) -> web.Application:
    """Return the app for the Unix socket: everything, for whoever could have started the daemon."""
    app = web.Application(middlewares=[in_problems, operator_only], client_max_size=house.settings.http.max_body + 1)
    app[HOUSE] = house
    app.add_routes(PUBLIC + API)
    return app


@web.middleware
async def no_browsers(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse pages of other sites (Origin), and names that only DNS rebinding would bring here (Host)."""
    if "Origin" in request.headers:
        raise Refusal("forbidden", "requests from web pages are not taken: they carry an Origin header")
    host = _name(request.headers.get("Host", ""))
    if not _is_loopback(host) and host not in request.app[HOUSE].settings.http.hosts:
        raise Refusal("forbidden", f"Host {host!r} is neither loopback nor in http.hosts", "add it to http.hosts")
    return await handler(request)


def _name(host: str) -> str:
    """Return a Host header without its port and brackets."""
    name, _, port = host.rpartition(":")
    bare = name if name and port.isdigit() else host
    return bare.strip("[]").rstrip(".").lower()


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
