"""`q` and bulk over the real doors: what passes, what is refused and where, and whose jobs they are."""

import asyncio
from typing import Any

import pytest
from msgspec import structs

from shared.ids import new_id, now_ms
from shared.models import Decision, Verdict
from stitcherd.store import jobs

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
    rails_revision="none",
    actor="uid:0",
    origin={},
)


async def _add(doors: Any, **more: Any) -> str:
    """Store a job that no worker is told of."""
    job = structs.replace(NEW, id=new_id(), **more)
    await doors.house.store.write(jobs.dispatch, job, Decision(Verdict.ALLOWED, "by hand", "none"), now_ms())
    return job.id


async def test_q_narrows_together_with_the_other_parameters(doors: Any) -> None:
    one = await _add(doors, type="fix", agent_task_id="task-7")
    await _add(doors, type="fix")
    await _add(doors, type="review", agent_task_id="task-7")
    for query in (
        "q=type:fix+agent:task-7",
        "q=type:fix&agentTaskId=task-7",
        "q=octo-org/api+-type:review&agentTaskId=task-7",
    ):
        status, page = await doors.socket.say("GET", f"/runner-jobs?{query}")
        assert (status, [job["id"] for job in page["items"]]) == (200, [one])
    assert (await doors.socket.say("GET", "/runner-jobs?q=type:fix&type=review"))[1]["items"] == []
    assert len((await doors.socket.say("GET", "/runner-jobs?q="))[1]["items"]) == 3


async def test_pages_of_a_filter_follow_each_other(doors: Any) -> None:
    ids = [await _add(doors, type=("fix", "review")[at % 2]) for at in range(9)]
    seen, before = [], ""
    while True:
        _, page = await doors.socket.say("GET", f"/runner-jobs?q=type:fix&limit=2{before}")
        seen += [job["id"] for job in page["items"]]
        if page["next"] is None:
            break
        before = f"&before={page['next']}"
    assert seen == ids[::2][::-1]


@pytest.mark.parametrize("ask", ["list", "bulk"])
async def test_an_error_in_a_filter_is_a_422_with_its_column(doors: Any, ask: str) -> None:
    if ask == "list":
        status, problem = await doors.socket.say("GET", "/runner-jobs?q=type:fix+stat:failed")
    else:
        body = {"action": "cancel", "q": "type:fix stat:failed"}
        status, problem = await doors.socket.say("POST", BULK, json=body)
    assert (status, problem["code"], problem["column"]) == (422, "invalid", 10)
    assert problem["detail"] == "q: unknown key 'stat' at column 10 (did you mean state?)"


async def test_bulk_stays_in_the_callers_workspace(doors: Any) -> None:
    mine, theirs = await _add(doors), await _add(doors, workspace="elsewhere")
    body = {"action": "cancel", "q": "type:gone"}
    look = {"matched": 1, "items": [{"id": mine, "ok": True, "status": "QUEUED"}]}
    assert await doors.tcp.say("POST", BULK, "writer", json={**body, "dryRun": True}) == (200, look)
    done = {"matched": 1, "items": [{"id": mine, "ok": True, "status": "CANCELLED"}]}
    assert await doors.tcp.say("POST", BULK, "writer", json=body) == (200, done)
    again = {"matched": 1, "items": [{"id": mine, "ok": False, "status": "CANCELLED", "code": "not_cancellable"}]}
    assert await doors.tcp.say("POST", BULK, "writer", json=body) == (200, again)
    assert (await doors.tcp.say("POST", BULK, "reader", json=body))[0] == 403
    status, everyones = await doors.socket.say("POST", BULK, json={**body, "dryRun": True})
    assert (status, [item["id"] for item in everyones["items"]]) == (200, [mine, theirs])


async def test_what_was_retried_runs(doors: Any) -> None:
    job_id = await _add(doors)
    await doors.socket.say("POST", BULK, json={"action": "cancel", "q": "type:gone"})
    status, result = await doors.socket.say("POST", BULK, json={"action": "retry", "q": "state:cancelled"})
    assert (status, result["items"][0]["status"]) == (200, "QUEUED")
    async with asyncio.timeout(30):
        while True:
            _, job = await doors.socket.say("GET", f"/runner-jobs/{job_id}")
            if job["status"] == "FAILED":
                break
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"action": "cancel", "q": " "}, "it would mean every job"),
        ({"action": "approve", "q": "is:open"}, "action: "),
        ({"action": "cancel"}, "q: "),
        ({"action": "cancel", "q": "is:open", "dry_run": True}, "dry_run: unknown field"),
    ],
)
async def test_what_bulk_does_not_take(doors: Any, body: dict[str, Any], said: str) -> None:
    status, problem = await doors.socket.say("POST", BULK, json=body)
    assert (status, problem["code"]) == (422, "invalid")
    assert said in problem["detail"]
