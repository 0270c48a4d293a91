"""The table of routes: handler, permission, parameters and responses of each."""

from enum import StrEnum
from typing import Any

from aiohttp import web
from msgspec import Struct

from shared.api import (
    Account,
    AccountList,
    Answer,
    AnswerPage,
    Backup,
    BulkResult,
    DaemonList,
    DispatchResponse,
    EventPage,
    Health,
    JobPage,
    Meta,
    PauseState,
    Pulse,
    RailsState,
    Readiness,
    SimulationResult,
)
from shared.deliveries import Delivery, DeliveryPage, ReplayResponse, WebhookResponse
from shared.models import AnswerState, Decision, RunnerJob, Status, Verdict
from shared.stats import Grouping, Stats
from stitcherd.config.http_settings import Permission
from stitcherd.http import (
    accounts,
    answers,
    audit,
    backup,
    daemons,
    deliveries,
    events,
    jobs,
    metrics,
    outputs,
    rails,
    status,
    webhooks,
)
from stitcherd.http.auth import require_permission
from stitcherd.http.requests import QUERY, EmptyBody, Query
from stitcherd.http.responses import Handler

COUNT = {"type": "integer", "minimum": 1, "maximum": 500, "default": 100}
CURSOR = {"type": "integer", "minimum": 0}
POSITIVE = {"type": "integer", "minimum": 1}
FLAG = {"type": "boolean", "default": False}
TEXT = {"type": "string"}
TIME = {"type": "string", "format": "date-time"}
ID = {"type": "string", "description": "An id, or a unique suffix of one."}
STREAM = "text/event-stream"
BINARY = "application/octet-stream"
PLAIN = "text/plain"
JSON_LINES = "application/jsonl"
JSON_SCHEMA = "application/schema+json"
FILE = {200: PLAIN, 206: PLAIN, 304: None, 416: None}


class Route(Struct, frozen=True, kw_only=True):
    """One route.

    `answers` maps a status to the type of its JSON, or to a media type. A `public` route needs no caller; the others
    need `permission`, or any caller if that is None. With `query` None the query is ignored; otherwise only these
    parameters, given as JSON schemas, are accepted. `raises` are the statuses that do not follow from the rest.
    """

    method: str
    path: str
    handler: Handler
    answers: dict[int, Any]
    permission: Permission | None = None
    public: bool = False
    query: dict[str, dict[str, Any]] | None = None
    body: type | None = None
    stores: bool = False
    raises: tuple[int, ...] = ()

    @property
    def refusals(self) -> set[int]:
        """Return the statuses of the problems that this route may answer."""
        query = self.query or {}
        statuses = {
            400,
            403,
            414,
            431,
            *self.raises,
        }  # invalid HTTP; a host, origin or peer that is not accepted; long lines
        if not self.public:
            statuses |= {401, 429}
        if "{" in self.path.replace("{source}", "") or any(schema is ID for schema in query.values()):
            statuses |= {404, 409}
        if self.query is not None:
            statuses |= {422}
        if self.body is not None:
            statuses |= {413, 415, 422}
        if self.stores:
            statuses |= {503}
        return statuses - set(self.answers)

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        """Check the permission and the query, then call the handler."""
        if not self.public:
            require_permission(request, self.permission)
        if self.query is not None:
            request[QUERY] = Query(request, self.query)
        return await self.handler(request)


def _get(path: str, handler: Handler, answer: Any, permission: Permission | None, **more: Any) -> Route:
    answers = answer if isinstance(answer, dict) else {200: answer}
    return Route(
        method="GET", path=path, handler=handler, answers=answers, permission=permission, **{"query": {}, **more}
    )


def _post(
    path: str, handler: Handler, body: type, answer: Any, permission: Permission | None, *statuses: int, **more: Any
) -> Route:
    answers = dict.fromkeys(statuses, answer)
    return Route(method="POST", path=path, handler=handler, answers=answers, permission=permission, body=body, **more)


def _public(method: str, path: str, handler: Handler, answer: Any, *statuses: int, **more: Any) -> Route:
    return Route(
        method=method, path=path, handler=handler, answers=dict.fromkeys(statuses, answer), public=True, **more
    )


def _enum(names: type[StrEnum]) -> dict[str, Any]:
    return {"type": "string", "enum": [*names]}


def _repeated(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": schema}


WEBHOOK: dict[str, Any] = {"stores": True, "raises": (401, 404, 413, 415, 422)}
DISPATCH: dict[str, Any] = {"stores": True, "raises": (404,)}  # no such workspace
JOB_QUERY = {
    "status": _repeated(_enum(Status)),
    "type": _repeated(TEXT),
    "agentTaskId": TEXT,
    "repository": TEXT,
    "workspaceId": TEXT,
    "q": TEXT,
    "limit": COUNT,
    "before": ID,
}
DELIVERY_QUERY = {"verdict": _repeated(_enum(Verdict)), "source": _repeated(TEXT), "limit": COUNT, "before": ID}
ANSWER_QUERY = {"state": _repeated(_enum(AnswerState)), "limit": COUNT, "before": ID}
RAILS_QUERY = {"effective": FLAG, "against": TEXT}
EVENT_QUERY = {"after": CURSOR, "limit": COUNT}
STREAM_QUERY = {"after": CURSOR, "job": ID}
STATS_QUERY = {"since": TIME, "by": {**_enum(Grouping), "default": Grouping.DAY}}

ROUTES = (
    _public("POST", "/stitcher/webhook", webhooks.receive, WebhookResponse, 200, 202, **WEBHOOK),
    _public("POST", "/stitcher/webhook/{source}", webhooks.receive, WebhookResponse, 200, 202, **WEBHOOK),
    _public("GET", "/healthz", status.healthz, Health, 200),
    _public("GET", "/readyz", status.readyz, Readiness, 200, 503),
    _get("/meta", status.meta, Meta, None, query=None),
    _get("/rails", rails.show_rails, RailsState, "rails:read", query=RAILS_QUERY, raises=(404,)),
    _get("/rails/schema", rails.show_schema, JSON_SCHEMA, "rails:read"),
    # explain requires deliveries:read or rails:read, depending on its body
    _post("/rails/explain", rails.explain, rails.ExplainBody, Decision, None, 200, raises=(404, 409)),
    _post("/rails/simulate", rails.simulate_rails, rails.SimulateBody, SimulationResult, "rails:read", 200),
    _get("/accounts", accounts.list_accounts, AccountList, "rails:read"),
    _post(
        "/accounts/accept",
        accounts.accept_account,
        accounts.AcceptBody,
        Account,
        None,
        200,
        stores=True,
        raises=(404, 409),
    ),
    _get("/stats", status.show_stats, Stats, "jobs:read", query=STATS_QUERY),
    _get("/metrics", metrics.show_metrics, PLAIN, "metrics:read"),
    _get("/pulse", status.show_pulse, Pulse, "jobs:read"),
    _get("/pause", status.show_pause, PauseState, None),
    _post("/pause", status.pause, status.PauseBody, PauseState, None, 200, stores=True),
    _post("/resume", status.resume, EmptyBody, PauseState, None, 200, stores=True),
    _get("/daemons", daemons.list_daemons, DaemonList, None),
    _post("/backup", backup.make_backup, backup.BackupBody, Backup, None, 201, stores=True, raises=(409,)),
    _post(
        "/stitcher/dispatch", jobs.dispatch, jobs.NewJobBody, DispatchResponse, "jobs:dispatch", 200, 201, **DISPATCH
    ),
    _get("/runner-jobs", jobs.list_jobs, JobPage, "jobs:read", query=JOB_QUERY),
    _post("/runner-jobs", jobs.create_job, jobs.NewJobBody, RunnerJob, "jobs:dispatch", 200, 201, **DISPATCH),
    _post("/runner-jobs/bulk", jobs.change_jobs, jobs.BulkBody, BulkResult, "jobs:write", 200, stores=True),
    _get("/runner-jobs/{job}", jobs.show_job, RunnerJob, "jobs:read"),
    _post("/runner-jobs/{job}/cancel", jobs.cancel_job, jobs.CancelBody, RunnerJob, "jobs:write", 202, stores=True),
    _post("/runner-jobs/{job}/retry", jobs.retry_job, EmptyBody, RunnerJob, "jobs:write", 202, stores=True),
    _post(
        "/runner-jobs/{job}/approve", jobs.approve_job, jobs.ApproveBody, RunnerJob, "jobs:approve", 202, stores=True
    ),
    _post("/runner-jobs/{job}/deny", jobs.deny_job, jobs.DenyBody, RunnerJob, "jobs:approve", 202, stores=True),
    _get("/runner-jobs/{job}/events", jobs.list_events, EventPage, "jobs:read", query=EVENT_QUERY),
    _get("/runner-jobs/{job}/diff", outputs.show_diff, FILE, "jobs:read", query={"attempt": POSITIVE}),
    _get("/runner-jobs/{job}/steps/{step}/log", outputs.show_log, FILE, "jobs:read", query={"raw": FLAG}),
    _get("/runner-jobs/{job}/steps/{step}/conversation", outputs.show_conversation, FILE, "jobs:read"),
    _get("/events", events.stream, STREAM, "jobs:read", query=STREAM_QUERY, raises=(410,)),
    _get("/audit", audit.export, JSON_LINES, None),
    _get("/answers", answers.list_answers, AnswerPage, "jobs:read", query=ANSWER_QUERY),
    _post("/answers/{answer}/retry", answers.retry_answer, EmptyBody, Answer, "jobs:write", 202, stores=True),
    _get("/deliveries", deliveries.list_deliveries, DeliveryPage, "deliveries:read", query=DELIVERY_QUERY),
    _get("/deliveries/{delivery}", deliveries.show_delivery, Delivery, "deliveries:read"),
    _get("/deliveries/{delivery}/body", deliveries.show_body, BINARY, "deliveries:read"),
    _post(
        "/deliveries/{delivery}/replay",
        deliveries.replay,
        deliveries.ReplayBody,
        ReplayResponse,
        "jobs:dispatch",
        200,
        202,
        stores=True,
    ),
)
