"""Approvals over the API and on the thread: who may approve, what, and until when."""

import asyncio
import json
import uuid
from typing import Any

import pytest

from stitcherd.store import approvals
from tests.stitcherd.http.conftest import HttpHarness
from tests.stitcherd.http.webhooks import send_webhook

RAILS = """\
version: 1
people:
  chiefs: {users: ["near:zoe", "near:octocat", "near:eve", "near:max"]}
  team: {users: ["near:octocat"]}
profiles:
  runner: {capabilities: [repo:read], executor: agent}
jobs:
  hello: {profile: runner, needs: [repo:read], gates: []}
  read: {profile: runner, needs: [repo:read], gates: []}
triggers:
  - {id: hello-on-command, on: [issue.comment], command: hello, from: [team], job: hello}
  - {id: read-on-command, on: [issue.comment], command: read, from: [team], job: read}
guards:
  - id: outsider-text
    if: {author_of: [issue], not_in: [team]}
    then: require-approval
    by: [chiefs]
    because: a stranger wrote it
"""
MORE = "# looked at again\n"


def comment_body(text: str, login: str = "octocat", *, title: str = "A row is lost", issue: int = 1) -> bytes:
    """Return the body of a new comment on an issue that eve wrote."""
    user, eve = {"login": login}, {"login": "eve"}
    topic = {"number": issue, "title": title, "body": "Please look", "user": eve, "labels": []}
    written = {"id": uuid.uuid4().int >> 80, "body": text, "user": user}
    document = {"action": "created", "issue": topic, "comment": written, "sender": user}
    return json.dumps({**document, "repository": {"full_name": "near-org/api"}}).encode()


@pytest.fixture
async def guarded(api: HttpHarness) -> HttpHarness:
    await under(api, RAILS)
    return api


async def under(api: HttpHarness, text: str) -> None:
    rails = api.state.rails
    rails.path.write_text(text)
    while not await rails.reload():  # noqa: ASYNC110 (a file that is being written is read again)
        await asyncio.sleep(0.02)
    assert rails.current is not None
    assert rails.current.text == text, rails.state().error


async def waiting(api: HttpHarness, verb: str = "hello") -> str:
    status, answer = await send_webhook(api, "near", comment_body(f"@mosaic {verb} there"))
    assert status == 202, answer
    assert (status, answer["verdict"], answer["status"]) == (202, "waiting", "PENDING"), answer
    assert answer["reason"] == "guard outsider-text: a stranger wrote it"
    return str(answer["jobId"])


async def job_of(api: HttpHarness, job_id: str) -> Any:
    status, job = await api.local.request("GET", f"/runner-jobs/{job_id}")
    assert status == 200
    return job


async def over(api: HttpHarness, job_id: str) -> Any:
    async with asyncio.timeout(20):
        while (job := await job_of(api, job_id))["status"] in {"PENDING", "QUEUED", "RUNNING"}:  # noqa: ASYNC110 (it is another process's)
            await asyncio.sleep(0.02)
    return job


async def test_the_decision_names_who_may_approve(guarded: HttpHarness) -> None:
    job = await job_of(guarded, await waiting(guarded))
    decision = job["decision"]
    assert (decision["verdict"], decision["remedy"]["text"]) == ("waiting", "a member of chiefs approves")
    assert {check["outcome"] for check in decision["checks"]} == {"pass", "ask"}
    event = job["events"][-1]
    assert (event["type"], event["payload"]["guards"], event["payload"]["by"]) == (
        "job.waiting",
        ["outsider-text"],
        ["chiefs"],
    )


@pytest.mark.parametrize(("app", "token"), [("local", None), ("public", "approver")])
async def test_an_approved_job_runs(guarded: HttpHarness, app: str, token: str | None) -> None:
    job_id = await waiting(guarded)
    ask = getattr(guarded, app).request
    status, job = await ask("POST", f"/runner-jobs/{job_id[-8:]}/approve", token, json={"reason": "read it"})
    assert (status, job["status"]) == (202, "QUEUED")
    events = [event for event in (await over(guarded, job_id))["events"] if event["type"] == "job.approved"]
    assert [event["payload"] for event in events] == [{"reason": "read it"}]
    status, problem = await ask("POST", f"/runner-jobs/{job_id}/approve", token, json={})
    assert (status, problem["code"]) == (409, "not_waiting")


async def test_a_denied_job_is_cancelled(guarded: HttpHarness) -> None:
    job_id = await waiting(guarded)
    place = f"/runner-jobs/{job_id}/deny"
    assert (await guarded.local.request("POST", place, json={}))[0] == 422
    status, job = await guarded.public.request("POST", place, "approver", json={"reason": "spam"})
    assert (status, job["status"], job["lastEvent"]) == (202, "CANCELLED", "job.denied")
    assert (await guarded.local.request("POST", place, json={"reason": "again"}))[0] == 409
    assert (await guarded.local.request("POST", f"/runner-jobs/{job_id}/retry", json={}))[1]["code"] == "not_retryable"


@pytest.mark.parametrize("act", ["approve", "deny"])
async def test_a_caller_without_the_permission_is_refused(guarded: HttpHarness, act: str) -> None:
    job_id = await waiting(guarded)
    place, body = f"/runner-jobs/{job_id}/{act}", {"reason": "mine"}
    for token, expected in (("writer", 403), ("reader", 403), (None, 401)):
        assert (await guarded.public.request("POST", place, token, json=body))[0] == expected
    assert (await job_of(guarded, job_id))["status"] == "PENDING"


async def test_after_a_change_of_the_rails_only_the_second_approval_counts(guarded: HttpHarness) -> None:
    job_id = await waiting(guarded)
    await under(guarded, RAILS + MORE)
    place = f"/runner-jobs/{job_id}/approve"
    status, problem = await guarded.local.request("POST", place, json={})
    assert (status, problem["code"]) == (409, "conflict")
    job = await job_of(guarded, job_id)
    assert (job["status"], job["railsRevision"]) == ("PENDING", guarded.state.rails.state().revision)
    assert job["events"][-1]["payload"]["reason"].startswith("the rails changed from ")
    assert (await guarded.local.request("POST", place, json={}))[0] == 202


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        ("then: require-approval\n    by: [chiefs]", "then: deny", "CANCELLED"),
        ("job: hello}", "job: read}", "CANCELLED"),
        ("version: 1", "version: 1\nmode: observe", "PENDING"),
    ],
)
async def test_a_job_that_other_rails_reject_is_cancelled(
    guarded: HttpHarness, old: str, new: str, status: str
) -> None:
    job_id = await waiting(guarded)
    await under(guarded, RAILS.replace(old, new))
    for _ in range(2):
        assert (await guarded.local.request("POST", f"/runner-jobs/{job_id}/approve", json={}))[0] == 409
    assert (await job_of(guarded, job_id))["status"] == status


async def test_a_job_runs_once_the_rails_require_no_approval(guarded: HttpHarness) -> None:
    job_id = await waiting(guarded)
    await under(guarded, RAILS.replace("team: {users: [", 'team: {users: ["near:eve", '))
    status, job = await guarded.local.request("POST", f"/runner-jobs/{job_id}/approve", json={})
    assert (status, job["status"]) == (202, "QUEUED")


async def test_an_approver_approves_on_the_thread_once(guarded: HttpHarness) -> None:
    job_id = await waiting(guarded)
    body = comment_body(f"@mosaic approve {job_id[-8:]} looks harmless", "zoe")
    status, answer = await send_webhook(guarded, "near", body)
    assert (status, answer["verdict"], answer["jobId"], answer["status"]) == (202, "allowed", job_id, "QUEUED")
    status, again = await send_webhook(guarded, "near", body)
    assert (status, again["verdict"], again["jobId"]) == (200, "duplicate", job_id)
    events = (await over(guarded, job_id))["events"]
    approved = [(event["actor"], event["payload"]) for event in events if event["type"] == "job.approved"]
    assert approved == [("source:near/zoe", {"reason": "looks harmless"})]
    _, delivery = await guarded.local.request("GET", f"/deliveries/{answer['deliveryId']}")
    assert (delivery["verdict"], delivery["jobId"]) == ("allowed", job_id)
    status, answer = await send_webhook(guarded, "near", comment_body("@mosaic approve", "max"))
    assert (status, answer["verdict"]) == (200, "ignored")
    assert answer["reason"] == "nothing waits for an approval on this thread"


async def test_an_approver_denies_on_the_thread(guarded: HttpHarness) -> None:
    job_id = await waiting(guarded)
    status, answer = await send_webhook(guarded, "near", comment_body("@mosaic deny it is spam", "zoe"))
    assert (status, answer["verdict"], answer["status"]) == (202, "allowed", "CANCELLED")
    event = (await job_of(guarded, job_id))["events"][-1]
    assert (event["type"], event["actor"], event["payload"]) == (
        "job.denied",
        "source:near/zoe",
        {"reason": "it is spam"},
    )


@pytest.mark.parametrize("verb", ["approve", "deny"])
@pytest.mark.parametrize(
    ("login", "why"),
    [
        ("octocat", "they asked for it themselves"),
        ("eve", "the text that it is about is their own"),
        ("drive-by", "a member of chiefs answers for guard outsider-text"),
    ],
)
async def test_others_may_not_approve(guarded: HttpHarness, verb: str, login: str, why: str) -> None:
    job_id = await waiting(guarded)
    status, answer = await send_webhook(guarded, "near", comment_body(f"@mosaic {verb}", login))
    assert (status, answer["verdict"], answer["jobId"]) == (200, "denied", None)
    assert answer["reason"] == f"who: near:{login} may not {verb} job {job_id[-8:]}: {why}"
    assert (await job_of(guarded, job_id))["status"] == "PENDING"


async def test_the_requester_may_approve_where_the_rails_allow_it(guarded: HttpHarness) -> None:
    await under(guarded, RAILS + "approvals: {command: yes-please, self: true}\n")
    job_id = await waiting(guarded)
    assert (await send_webhook(guarded, "near", comment_body("@mosaic approve")))[1]["verdict"] == "ignored"
    assert (await send_webhook(guarded, "near", comment_body("@mosaic yes-please")))[1]["jobId"] == job_id


async def test_a_changed_text_is_not_approved(guarded: HttpHarness) -> None:
    job_id = await waiting(guarded)
    _, answer = await send_webhook(guarded, "near", comment_body("@mosaic approve", "zoe", title="Another"))
    assert answer["verdict"] == "denied"
    assert answer["reason"].endswith("the text of the thread has changed since it was asked for; ask for it again")
    assert (await job_of(guarded, job_id))["status"] == "PENDING"


async def test_after_a_change_of_the_rails_a_comment_does_not_approve(guarded: HttpHarness) -> None:
    job_id = await waiting(guarded)
    await under(guarded, RAILS + MORE)
    _, first = await send_webhook(guarded, "near", comment_body("@mosaic approve", "zoe"))
    assert first["verdict"] == "denied"
    assert "the rails have changed" in first["reason"]
    _, second = await send_webhook(guarded, "near", comment_body("@mosaic approve now", "zoe"))
    assert (second["verdict"], second["jobId"]) == ("allowed", job_id)


async def test_one_of_several_waiting_jobs_must_be_named(guarded: HttpHarness) -> None:
    jobs = [await waiting(guarded, verb) for verb in ("hello", "read")]
    _, answer = await send_webhook(guarded, "near", comment_body("@mosaic approve", "zoe"))
    assert (answer["verdict"], answer["reason"]) == (
        "denied",
        "2 jobs wait on this thread: name one by the end of its id",
    )
    _, answer = await send_webhook(guarded, "near", comment_body("@mosaic approve 00000000", "zoe"))
    assert answer["verdict"] == "ignored"
    _, answer = await send_webhook(guarded, "near", comment_body(f"@mosaic approve {jobs[1][-6:]}", "zoe"))
    assert answer["jobId"] == jobs[1]
    assert (await job_of(guarded, jobs[0]))["status"] == "PENDING"


async def test_another_thread_and_another_source_approve_nothing(guarded: HttpHarness) -> None:
    job_id = await waiting(guarded)
    for source, body in (
        ("near", comment_body("@mosaic approve", "zoe", issue=2)),
        ("far", comment_body("@mosaic approve", "zoe")),
    ):
        assert (await send_webhook(guarded, source, body))[1]["verdict"] == "ignored"
    assert (await job_of(guarded, job_id))["status"] == "PENDING"


async def test_a_replayed_approval_approves_nothing(guarded: HttpHarness) -> None:
    first = await waiting(guarded)
    _, answer = await send_webhook(guarded, "near", comment_body("@mosaic approve", "zoe"))
    await over(guarded, first)
    _, asked = await send_webhook(guarded, "near", comment_body("@mosaic hello again"))
    assert asked["verdict"] == "waiting"
    status, replayed = await guarded.local.request("POST", f"/deliveries/{answer['deliveryId']}/replay", json={})
    assert (status, replayed["verdict"]) == (200, "ignored")
    assert (await job_of(guarded, asked["jobId"]))["status"] == "PENDING"


async def test_a_cancel_and_an_approval_at_the_same_time_agree(guarded: HttpHarness) -> None:
    job_id = await waiting(guarded)
    acts = [guarded.local.request("POST", f"/runner-jobs/{job_id}/{act}", json={}) for act in ("approve", "cancel")]
    (approved, _), (cancelled, _) = await asyncio.gather(*acts)
    job = await over(guarded, job_id)
    assert approved in {202, 409}
    if approved == 409:
        assert (cancelled, job["status"]) == (202, "CANCELLED")
        assert "job.started" not in {event["type"] for event in job["events"]}


async def test_a_job_that_is_not_approved_in_time_is_cancelled(
    guarded: HttpHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = await waiting(guarded)
    async with guarded.state.store.reading() as db:
        _, request = await approvals.find_waiting(db, job_id)
    assert request.expires == "24h"
    monkeypatch.setattr(guarded.state.approvals, "_now", lambda: request.expires_at)
    task = asyncio.create_task(guarded.state.approvals.expire_forever())
    try:
        job = await over(guarded, job_id)
    finally:
        task.cancel()
    assert (job["status"], job["events"][-1]["payload"]) == ("CANCELLED", {"reason": "approval expired after 24h"})
