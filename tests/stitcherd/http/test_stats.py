"""Statistics over HTTP: the shape, the parameters, and who may read what."""

from typing import Any
from urllib.parse import quote

import pytest

from shared.ids import format_timestamp, now_ms
from tests.stitcherd.http.conftest import HttpHarness
from tests.stitcherd.http.webhooks import comment_body, send_webhook

DAY_MS = 86_400_000


async def cancelled_job(api: HttpHarness) -> str:
    """Cancel a queued job of the workspace default; return its UTC day, or the next one."""
    await api.local.request("POST", "/pause", json={})
    _, answer = await send_webhook(api, "near", comment_body("@mosaic hello"))
    await api.local.request("POST", f"/runner-jobs/{answer['jobId']}/cancel", json={})
    return format_timestamp(now_ms())[:10]


async def test_the_shape_of_an_item(api: HttpHarness) -> None:
    day = await cancelled_job(api)
    status, found = await api.local.request("GET", "/stats")
    assert (status, sorted(found)) == (200, ["by", "items", "since"])
    assert found["by"] == "day"
    [item] = found["items"]
    assert item["key"] in {day, format_timestamp(now_ms() - 60_000)[:10]}
    assert item | {"key": ""} == {
        "key": "",
        "jobs": {"completed": 0, "failed": 0, "cancelled": 1},
        "durationMs": {"p50": None, "p95": None},
        "queueWaitMs": {"p50": None, "p95": None},
        "gates": [],
        "tries": {"first": 0, "later": 0},
        "inputTokens": 0,
        "outputTokens": 0,
        "costUsd": 0.0,
    }


@pytest.mark.parametrize(
    ("since", "begins"),
    [
        ("2026-11-01T00:00:00Z", "2026-11-01T00:00:00.000Z"),
        ("2026-11-01T23:59:59.999999z", "2026-11-01T00:00:00.000Z"),
        ("2026-11-01t01:00:00+02:00", "2026-10-31T00:00:00.000Z"),
        ("0001-01-01T00:00:00+14:00", "1970-01-01T00:00:00.000Z"),
        ("9999-12-31T00:00:00Z", "9999-12-31T00:00:00.000Z"),
    ],
)
async def test_a_period_begins_with_a_day_of_utc(api: HttpHarness, since: str, begins: str) -> None:
    status, found = await api.local.request("GET", f"/stats?since={quote(since)}")
    assert (status, found["since"]) == (200, begins)


async def test_without_a_time_the_period_is_two_weeks(api: HttpHarness) -> None:
    days = {format_timestamp(now_ms() - 14 * DAY_MS)[:10]}
    _, found = await api.local.request("GET", "/stats")
    days.add(format_timestamp(now_ms() - 14 * DAY_MS)[:10])
    assert found["since"][:10] in days


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("by=week", "by: 'week' is none of day, hour, type, repository, executor"),
        ("by=", "by: ''"),
        ("by=DAY", "by: 'DAY'"),
        ("by=day&by=hour", "by may be given only once"),
        ("since=14d", "since: '14d' is not a time"),
        ("since=", "since: ''"),
        ("since=2026-11-01", "since: '2026-11-01'"),
        ("since=2026-11-01T00:00:00", "since: '2026-11-01T00:00:00'"),
        ("since=2026-13-01T00:00:00Z", "since: '2026-13-01T00:00:00Z'"),
        ("until=2026-11-01T00:00:00Z", "unknown parameter 'until'"),
    ],
)
async def test_a_bad_parameter_is_named(api: HttpHarness, query: str, named: str) -> None:
    status, problem = await api.local.request("GET", f"/stats?{query}")
    assert (status, problem["code"]) == (422, "invalid")
    assert named in problem["detail"]


@pytest.mark.parametrize("by", ["day", "hour", "type", "repository", "executor"])
async def test_a_token_sees_the_statistics_of_its_workspace(api: HttpHarness, by: str) -> None:
    await cancelled_job(api)
    counts: dict[str, Any] = {}
    for token in ("reader", "other"):
        status, found = await api.public.request("GET", f"/stats?by={by}", token)
        assert status == 200
        counts[token] = [item["jobs"]["cancelled"] for item in found["items"]]
    assert counts == {"reader": [1], "other": []}
    assert (await api.public.request("GET", f"/stats?by={by}", "third"))[0] == 403
    assert (await api.public.request("GET", f"/stats?by={by}"))[0] == 401
