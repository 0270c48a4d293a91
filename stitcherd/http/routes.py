"""Every route of the API, once: its handler, who may call it, what it takes and what it answers."""

from enum import StrEnum
from typing import Any

from aiohttp import web
from msgspec import Struct

from shared.api import (
    BulkResult,
    DeliveryPage,
    DispatchResponse,
    EventPage,
    JobPage,
    Meta,
    PauseState,
    Pulse,
    RailsState,
    WebhookResponse,
)
from shared.models import Decision, Delivery, RunnerJob, Status, Verdict
from stitcherd.config.settings import Permission
from stitcherd.errors import Refusal
from stitcherd.http import deliveries, events, jobs, outputs, rails, status, webhooks
from stitcherd.http.auth import CALLER, caller
from stitcherd.http.requests import QUERY_NAMES
from stitcherd.http.responses import Handler
from stitcherd.jobs.simulation import Simulation

COUNT = {"type": "integer", "minimum": 1, "maximum": 500, "default": 100}
CURSOR = {"type": "integer", "minimum": 0}
TEXT = {"type": "string"}
STREAM = "text/event-stream"
BINARY = "application/octet-stream"
PLAIN = "text/plain"
JSON_SCHEMA = "application/schema+json"


class Route(Struct, frozen=True, kw_only=True):
    """One route; `answers` is what a status carries: a noun, or a media type where it is no JSON.

    `open` needs no caller; otherwise `permission` is needed, None meaning that any caller will do.
    """

    method: str
    path: str
    handler: Handler
    permission: Permission | None = None
    open: bool = False
    query: dict[str, dict[str, Any]] = {}
    repeats: frozenset[str] = frozenset()
    body: type | None = None
    answers: dict[int, Any] = {}
    refusals: tuple[int, ...] = ()

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        """Let the handler answer, if the caller may have it."""
        request[QUERY_NAMES] = tuple(self.query)
        if not self.open:
            if CALLER not in request:
                raise Refusal("unauthorized", "this needs a bearer token", "see [[tokens]] in stitcherd.toml")
            if not caller(request).may(self.permission):
                raise Refusal("forbidden", f"this needs the permission {self.permission}")
        return await self.handler(request)


def _enum(names: type[StrEnum]) -> dict[str, Any]:
    return {"type": "string", "enum": [*names]}


ROUTES = (
    Route(
        method="POST",
        path="/stitcher/webhook",
        handler=webhooks.receive,
        open=True,
        answers={200: WebhookResponse, 202: WebhookResponse},
        refusals=(401, 404, 413, 415, 422, 503),
    ),
    Route(
        method="POST",
        path="/stitcher/webhook/{source}",
        handler=webhooks.receive,
        open=True,
        answers={200: WebhookResponse, 202: WebhookResponse},
        refusals=(401, 404, 413, 415, 422, 503),
    ),
    Route(method="GET", path="/healthz", handler=status.healthz, open=True, answers={200: dict[str, str]}),
    Route(method="GET", path="/readyz", handler=status.readyz, open=True, answers={200: Any, 503: Any}),
    Route(method="GET", path="/meta", handler=status.show_meta, answers={200: Meta}),
    Route(
        method="GET",
        path="/rails",
        handler=rails.show_rails,
        permission="rails:read",
        query={"effective": {"type": "boolean", "default": False}, "against": {"type": "string"}},
        answers={200: RailsState},
        refusals=(404, 422),
    ),
    Route(
        method="GET",
        path="/rails/schema",
        handler=rails.show_schema,
        permission="rails:read",
        answers={200: JSON_SCHEMA},
    ),
    Route(
        method="POST",
        path="/rails/explain",
        handler=rails.explain,  # asks for deliveries:read or rails:read itself
        body=rails.ExplainBody,
        answers={200: Decision},
        refusals=(404, 409, 413, 415, 422),
    ),
    Route(method="GET", path="/pulse", handler=status.show_pulse, permission="jobs:read", answers={200: Pulse}),
    Route(method="GET", path="/pause", handler=status.show_pause, answers={200: PauseState}),
    Route(
        method="POST",
        path="/pause",
        handler=status.pause,
        body=status.PauseBody,
        answers={200: PauseState},
        refusals=(413, 415, 422, 503),
    ),
    Route(
        method="POST",
        path="/resume",
        handler=status.resume,
        body=status.ResumeBody,
        answers={200: PauseState},
        refusals=(413, 415, 422, 503),
    ),
    Route(
        method="POST",
        path="/rails/simulate",
        handler=rails.simulate_rails,
        permission="rails:read",
        body=rails.SimulateBody,
        answers={200: Simulation},
        refusals=(413, 415, 422),
    ),
    Route(
        method="POST",
        path="/stitcher/dispatch",
        handler=jobs.dispatch,
        permission="jobs:dispatch",
        body=jobs.NewJobBody,
        answers={200: DispatchResponse, 201: DispatchResponse},
        refusals=(404, 413, 415, 422, 429, 503),
    ),
    Route(
        method="GET",
        path="/runner-jobs",
        handler=jobs.list_jobs,
        permission="jobs:read",
        query={
            "status": _enum(Status),
            "type": TEXT,
            "agentTaskId": TEXT,
            "repository": TEXT,
            "workspaceId": TEXT,
            "q": TEXT,
            "limit": COUNT,
            "before": TEXT,
        },
        repeats=frozenset({"status", "type"}),
        answers={200: JobPage},
        refusals=(404, 409, 422),
    ),
    Route(
        method="POST",
        path="/runner-jobs",
        handler=jobs.create_job,
        permission="jobs:dispatch",
        body=jobs.NewJobBody,
        answers={200: RunnerJob, 201: RunnerJob},
        refusals=(404, 413, 415, 422, 429, 503),
    ),
    Route(
        method="POST",
        path="/runner-jobs/bulk",
        handler=jobs.change_jobs,
        permission="jobs:write",
        body=jobs.BulkBody,
        answers={200: BulkResult},
        refusals=(413, 415, 422, 503),
    ),
    Route(
        method="GET",
        path="/runner-jobs/{job}",
        handler=jobs.show_job,
        permission="jobs:read",
        answers={200: RunnerJob},
        refusals=(404, 409, 422),
    ),
    Route(
        method="POST",
        path="/runner-jobs/{job}/cancel",
        handler=jobs.cancel_job,
        permission="jobs:write",
        body=jobs.CancelBody,
        answers={202: RunnerJob},
        refusals=(404, 409, 413, 415, 422, 503),
    ),
    Route(
        method="POST",
        path="/runner-jobs/{job}/retry",
        handler=jobs.retry_job,
        permission="jobs:write",
        body=jobs.RetryBody,
        answers={202: RunnerJob},
        refusals=(404, 409, 413, 415, 422, 503),
    ),
    Route(
        method="POST",
        path="/runner-jobs/{job}/approve",
        handler=jobs.approve_job,
        permission="jobs:approve",
        body=jobs.ApproveBody,
        answers={202: RunnerJob},
        refusals=(404, 409, 413, 415, 422, 503),
    ),
    Route(
        method="POST",
        path="/runner-jobs/{job}/deny",
        handler=jobs.deny_job,
        permission="jobs:approve",
        body=jobs.DenyBody,
        answers={202: RunnerJob},
        refusals=(404, 409, 413, 415, 422, 503),
    ),
    Route(
        method="GET",
        path="/runner-jobs/{job}/events",
        handler=jobs.list_events,
        permission="jobs:read",
        query={"after": CURSOR, "limit": COUNT},
        answers={200: EventPage},
        refusals=(404, 409, 422),
    ),
    Route(
        method="GET",
        path="/runner-jobs/{job}/diff",
        handler=outputs.show_diff,
        permission="jobs:read",
        query={"attempt": {"type": "integer", "minimum": 1}},
        answers={200: PLAIN, 206: PLAIN, 304: None, 416: None},
        refusals=(404, 409, 422),
    ),
    Route(
        method="GET",
        path="/runner-jobs/{job}/steps/{step}/log",
        handler=outputs.show_log,
        permission="jobs:read",
        answers={200: PLAIN, 206: PLAIN, 304: None, 416: None},
        refusals=(404, 409, 422),
    ),
    Route(
        method="GET",
        path="/events",
        handler=events.stream,
        permission="jobs:read",
        query={"after": CURSOR, "job": TEXT},
        answers={200: STREAM},
        refusals=(404, 409, 410, 422),
    ),
    Route(
        method="GET",
        path="/deliveries",
        handler=deliveries.list_deliveries,
        permission="deliveries:read",
        query={"verdict": _enum(Verdict), "source": TEXT, "limit": COUNT, "before": TEXT},
        repeats=frozenset({"verdict", "source"}),
        answers={200: DeliveryPage},
        refusals=(404, 409, 422),
    ),
    Route(
        method="GET",
        path="/deliveries/{delivery}",
        handler=deliveries.show_delivery,
        permission="deliveries:read",
        answers={200: Delivery},
        refusals=(404, 409, 422),
    ),
    Route(
        method="GET",
        path="/deliveries/{delivery}/body",
        handler=deliveries.show_body,
        permission="deliveries:read",
        answers={200: BINARY},
        refusals=(404, 409, 422),
    ),
    Route(
        method="POST",
        path="/deliveries/{delivery}/replay",
        handler=deliveries.replay,
        permission="jobs:dispatch",
        body=deliveries.ReplayBody,
        answers={200: WebhookResponse, 202: WebhookResponse},
        refusals=(404, 409, 413, 415, 422, 503),
    ),
)
