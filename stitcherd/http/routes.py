"""Every route of the API, once: its handler, who may call it, what it takes and what it answers."""

from enum import StrEnum
from typing import Any

from aiohttp import web
from msgspec import Struct

from shared.house import Meta, Pause, Pulse, RailsState
from shared.models import (
    Answer,
    BulkResult,
    Decision,
    Delivery,
    DeliveryPage,
    Dispatch,
    EventPage,
    JobPage,
    RunnerJob,
    Status,
    Verdict,
)
from stitcherd.api import approvals, deliveries, events, health, jobs, outputs, pause, pulse, rails, webhooks
from stitcherd.api.answers import Handler
from stitcherd.api.asked import QUERY_NAMES
from stitcherd.api.auth import CALLER, caller
from stitcherd.refusal import Refusal
from stitcherd.settings.tables import Permission
from stitcherd.simulation import Simulation

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


def _each(names: type[StrEnum]) -> dict[str, Any]:
    return {"type": "string", "enum": [*names]}


ROUTES = (
    Route(
        method="POST",
        path="/stitcher/webhook",
        handler=webhooks.receive,
        open=True,
        answers={200: Answer, 202: Answer},
        refusals=(401, 404, 413, 415, 422, 503),
    ),
    Route(
        method="POST",
        path="/stitcher/webhook/{source}",
        handler=webhooks.receive,
        open=True,
        answers={200: Answer, 202: Answer},
        refusals=(401, 404, 413, 415, 422, 503),
    ),
    Route(method="GET", path="/healthz", handler=health.healthz, open=True, answers={200: dict[str, str]}),
    Route(method="GET", path="/readyz", handler=health.readyz, open=True, answers={200: Any, 503: Any}),
    Route(method="GET", path="/meta", handler=health.meta, answers={200: Meta}),
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
        body=rails.Explain,
        answers={200: Decision},
        refusals=(404, 409, 413, 415, 422),
    ),
    Route(method="GET", path="/pulse", handler=pulse.show_pulse, permission="jobs:read", answers={200: Pulse}),
    Route(method="GET", path="/pause", handler=pause.show_pause, answers={200: Pause}),
    Route(
        method="POST",
        path="/pause",
        handler=pause.pause,
        body=pause.Hold,
        answers={200: Pause},
        refusals=(413, 415, 422, 503),
    ),
    Route(
        method="POST",
        path="/resume",
        handler=pause.resume,
        body=pause.Resume,
        answers={200: Pause},
        refusals=(413, 415, 422, 503),
    ),
    Route(
        method="POST",
        path="/rails/simulate",
        handler=rails.simulate_rails,
        permission="rails:read",
        body=rails.Simulate,
        answers={200: Simulation},
        refusals=(413, 415, 422),
    ),
    Route(
        method="POST",
        path="/stitcher/dispatch",
        handler=jobs.dispatch,
        permission="jobs:dispatch",
        body=jobs.NewJob,
        answers={200: Dispatch, 201: Dispatch},
        refusals=(404, 413, 415, 422, 429, 503),
    ),
    Route(
        method="GET",
        path="/runner-jobs",
        handler=jobs.list_jobs,
        permission="jobs:read",
        query={
            "status": _each(Status),
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
        body=jobs.NewJob,
        answers={200: RunnerJob, 201: RunnerJob},
        refusals=(404, 413, 415, 422, 429, 503),
    ),
    Route(
        method="POST",
        path="/runner-jobs/bulk",
        handler=jobs.change_jobs,
        permission="jobs:write",
        body=jobs.Change,
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
        body=jobs.Cancel,
        answers={202: RunnerJob},
        refusals=(404, 409, 413, 415, 422, 503),
    ),
    Route(
        method="POST",
        path="/runner-jobs/{job}/retry",
        handler=jobs.retry_job,
        permission="jobs:write",
        body=jobs.Retry,
        answers={202: RunnerJob},
        refusals=(404, 409, 413, 415, 422, 503),
    ),
    Route(
        method="POST",
        path="/runner-jobs/{job}/approve",
        handler=approvals.approve_job,
        permission="jobs:approve",
        body=approvals.Approve,
        answers={202: RunnerJob},
        refusals=(404, 409, 413, 415, 422, 503),
    ),
    Route(
        method="POST",
        path="/runner-jobs/{job}/deny",
        handler=approvals.deny_job,
        permission="jobs:approve",
        body=approvals.Deny,
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
        query={"verdict": _each(Verdict), "source": TEXT, "limit": COUNT, "before": TEXT},
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
        body=deliveries.Replay,
        answers={200: Answer, 202: Answer},
        refusals=(404, 409, 413, 415, 422, 503),
    ),
)
