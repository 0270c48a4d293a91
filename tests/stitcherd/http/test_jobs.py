"""Filters of the job list, and bulk actions."""

import asyncio
from typing import Any

import pytest
from msgspec import structs

from shared.ids import new_id, now_ms
from shared.models import Decision, Verdict
from stitcherd.store import jobs
from tests.stitcherd.http.conftest import HttpHarness

BULK = "/runner-jobs/bulk"
NEW = jobs.NewJob(
    id="",
    workspace="default",
    type="gone",  # the rails have no such type: a worker that takes it fails it at once
    profile="runner",
    executor="agent",
    priority=5,
    repository="octo-org/api",
    ref=None,
    thread=None,
    prompt="",
    metadata={},
    tries_max=1,
    on_interrupt="fail",
    rails_digest="none",
    actor="uid:0",
    origin={},
)


async def _add(api: HttpHarness, **more: Any) -> str:
    """Store a job without queueing it."""
    job = structs.replace(NEW, id=new_id(), **more)
    await api.state.store.write(jobs.dispatch, job, Decision(Verdict.ALLOWED, "by hand", "none"), now_ms())
    return job.id


async def test_q_combines_with_the_other_parameters(api: HttpHarness) -> None:
    one = await _add(api, type="fix", agent_task_id="task-7")
    await _add(api, type="fix")
    await _add(api, type="review", agent_task_id="task-7")
    for query in (
        "q=type:fix+agent:task-7",
        "q=type:fix&agentTaskId=task-7",
        "q=octo-org/api+-type:review&agentTaskId=task-7",
    ):
        status, page = await api.local.request("GET", f"/runner-jobs?{query}")
        assert (status, [job["id"] for job in page["items"]]) == (200, [one])
    assert (await api.local.request("GET", "/runner-jobs?q=type:fix&type=review"))[1]["items"] == []
    assert len((await api.local.request("GET", "/runner-jobs?q="))[1]["items"]) == 3


async def test_pages_of_a_filtered_list(api: HttpHarness) -> None:
    ids = [await _add(api, type=("fix", "review")[at % 2]) for at in range(9)]
    listed, before = [], ""
    while True:
        _, page = await api.local.request("GET", f"/runner-jobs?q=type:fix&limit=2{before}")
        listed += [job["id"] for job in page["items"]]
        if page["next"] is None:
            break
        before = f"&before={page['next']}"
    assert listed == ids[::2][::-1]


@pytest.mark.parametrize("ask", ["list", "bulk"])
async def test_a_filter_error_is_a_422_with_its_column(api: HttpHarness, ask: str) -> None:
    if ask == "list":
        status, problem = await api.local.request("GET", "/runner-jobs?q=type:fix+stat:failed")
    else:
        body = {"action": "cancel", "q": "type:fix stat:failed"}
        status, problem = await api.local.request("POST", BULK, json=body)
    assert (status, problem["code"], problem["column"]) == (422, "invalid", 10)
    assert problem["detail"] == "q: unknown key 'stat' at column 10 (did you mean state?)"


async def test_bulk_is_limited_to_the_callers_workspace(api: HttpHarness) -> None:
    mine, theirs = await _add(api), await _add(api, workspace="elsewhere")
    body = {"action": "cancel", "q": "type:gone"}
    look = {"matched": 1, "items": [{"id": mine, "ok": True, "status": "QUEUED"}]}
    assert await api.public.request("POST", BULK, "writer", json={**body, "dryRun": True}) == (200, look)
    done = {"matched": 1, "items": [{"id": mine, "ok": True, "status": "CANCELLED"}]}
    assert await api.public.request("POST", BULK, "writer", json=body) == (200, done)
    again = {"matched": 1, "items": [{"id": mine, "ok": False, "status": "CANCELLED", "code": "not_cancellable"}]}
    assert await api.public.request("POST", BULK, "writer", json=body) == (200, again)
    assert (await api.public.request("POST", BULK, "reader", json=body))[0] == 403
    status, everyones = await api.local.request("POST", BULK, json={**body, "dryRun": True})
    assert (status, [item["id"] for item in everyones["items"]]) == (200, [mine, theirs])


async def test_retried_jobs_run(api: HttpHarness) -> None:
    job_id = await _add(api)
    await api.local.request("POST", BULK, json={"action": "cancel", "q": "type:gone"})
    status, result = await api.local.request("POST", BULK, json={"action": "retry", "q": "state:cancelled"})
    assert (status, result["items"][0]["status"]) == (200, "QUEUED")
    async with asyncio.timeout(30):
        while True:
            _, job = await api.local.request("GET", f"/runner-jobs/{job_id}")
            if job["status"] == "FAILED":
                break
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"action": "cancel", "q": " "}, "would match every job"),
        ({"action": "approve", "q": "is:open"}, "action: "),
        ({"action": "cancel"}, "q: "),
        ({"action": "cancel", "q": "is:open", "dry_run": True}, "dry_run: unknown field"),
    ],
)
async def test_invalid_bulk_requests(api: HttpHarness, body: dict[str, Any], detail: str) -> None:
    status, problem = await api.local.request("POST", BULK, json=body)
    assert (status, problem["code"]) == (422, "invalid")
    assert detail in problem["detail"]
