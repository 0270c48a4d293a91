"""The routes, queries and bodies that the API functions send, and how they follow pages."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.api import JobRequest
from shared.stats import Grouping
from tests.tui import documents
from tests.tui.fake_api import FakeApi
from tui.client import api as routes
from tui.client.http import ApiError, DaemonClient, InvalidResponse

SINCE = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    ("call", "request_line", "body"),
    [
        (routes.get_meta, "GET /meta", None),
        (routes.get_readiness, "GET /readyz", None),
        (routes.get_pulse, "GET /pulse", None),
        (lambda client: routes.get_stats(client, Grouping.TYPE, SINCE),
         "GET /stats?since=2026-11-22T00%3A00%3A00%2B00%3A00&by=type", None),
        (routes.get_pause, "GET /pause", None),
        (lambda client: routes.pause(client, "lunch"), "POST /pause", {"reason": "lunch"}),
        (routes.resume, "POST /resume", {}),
        (lambda client: routes.list_jobs(client, [("q", "a b")], limit=2, before="7"),
         "GET /runner-jobs?q=a+b&limit=2&before=7", None),
        (lambda client: routes.get_job(client, "a/b"), "GET /runner-jobs/a%2Fb", None),
        (lambda client: routes.create_job(client, JobRequest("fix", ref="main")), "POST /runner-jobs",
         {"type": "fix", "ref": "main"}),
        (lambda client: routes.cancel_job(client, "7"), "POST /runner-jobs/7/cancel", {}),
        (lambda client: routes.retry_job(client, "7"), "POST /runner-jobs/7/retry", {}),
        (lambda client: routes.approve_job(client, "7", "ok"), "POST /runner-jobs/7/approve", {"reason": "ok"}),
        (lambda client: routes.deny_job(client, "7", "no"), "POST /runner-jobs/7/deny", {"reason": "no"}),
        (lambda client: routes.change_jobs(client, "retry", "is:over", dry_run=True), "POST /runner-jobs/bulk",
         {"action": "retry", "q": "is:over", "dryRun": True}),
        (lambda client: routes.list_job_events(client, "7", 3), "GET /runner-jobs/7/events?after=3&limit=500", None),
        (lambda client: routes.step_log(client, "7", "s").read(), "GET /runner-jobs/7/steps/s/log", None),
        (lambda client: routes.diff(client, "7").read(), "GET /runner-jobs/7/diff", None),
        (lambda client: routes.diff(client, "7", 2).read(), "GET /runner-jobs/7/diff?attempt=2", None),
        (lambda client: routes.list_deliveries(client, [("verdict", "denied")]), "GET /deliveries?verdict=denied",
         None),
        (lambda client: routes.get_delivery(client, "7"), "GET /deliveries/7", None),
        (lambda client: routes.get_delivery_body(client, "7"), "GET /deliveries/7/body", None),
        (lambda client: routes.replay_delivery(client, "7", dry_run=True), "POST /deliveries/7/replay",
         {"dryRun": True}),
        (routes.get_rails, "GET /rails", None),
        (lambda client: routes.get_rails(client, against="r-1"), "GET /rails?against=r-1", None),
        (lambda client: routes.get_rails(client, effective=True), "GET /rails?effective=true", None),
        (routes.get_rails_schema, "GET /rails/schema", None),
        (lambda client: routes.simulate_rails(client, "version: 1", 9), "POST /rails/simulate",
         {"text": "version: 1", "limit": 9}),
        (lambda client: routes.simulate_rails(client, "", 9, SINCE), "POST /rails/simulate",
         {"text": "", "limit": 9, "since": "2026-11-22T00:00:00+00:00"}),
    ],
)  # fmt: skip
def test_requests(api: FakeApi, call: Callable[[DaemonClient], Any], request_line: str, body: Any) -> None:
    api.answers[request_line.partition("?")[0]] = 200, {}
    call(DaemonClient(api.path))
    assert api.requests == [(request_line, body)]


def test_readiness_is_also_read_from_a_503(api: FakeApi) -> None:
    check = {"name": "writer", "ok": False, "detail": "disk full", "since": "then"}
    api.answers["GET /readyz"] = 503, {"ready": False, "checks": [check]}
    readiness = routes.get_readiness(DaemonClient(api.path)).value
    assert [each.name for each in readiness.checks] == ["writer"]
    api.answers["GET /readyz"] = 403, documents.problem(403, "forbidden", "no")
    with pytest.raises(ApiError):
        routes.get_readiness(DaemonClient(api.path))


def test_a_reply_keeps_unknown_fields_and_is_decoded_on_demand(api: FakeApi) -> None:
    api.answers["GET /runner-jobs/7"] = 200, documents.job(new={"a": 1})
    reply = routes.get_job(DaemonClient(api.path), "7")
    assert reply.value.id == documents.JOB
    assert reply.field("new") == b'{"a": 1}'
    assert reply.field("missing") == b"null"
    api.answers["GET /runner-jobs/7"] = 200, b"[]"
    reply = routes.get_job(DaemonClient(api.path), "7")
    assert reply.raw == b"[]"
    with pytest.raises(InvalidResponse):
        _ = reply.value


def test_all_events_are_read_page_by_page(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = [{"items": [documents.event(1, "job.created", new=1)], "next": 1}, {"items": [], "next": None}]
    cursors: list[str] = []

    def get(_client: DaemonClient, _path: str, query: list[tuple[str, str]]) -> bytes:
        cursors.append(dict(query)["after"])
        return json.dumps(pages[len(cursors) - 1]).encode()

    monkeypatch.setattr(DaemonClient, "get", get)
    (event,) = routes.iter_job_events(DaemonClient(api.path), "7")
    assert (event.value.id, event.value.payload) == (1, {"new": 1})
    assert cursors == ["0", "1"]
