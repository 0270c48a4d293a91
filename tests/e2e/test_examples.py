"""The documents that programs rely on, compared with the responses of a real daemon."""

import os
import re
import uuid
from typing import Any

import pytest

from stitcherd.store import lifecycle
from tests.e2e.expected_documents import DECISION, DELIVERY, EVENT, JOB, LISTED, LONG, problem, webhook
from tests.e2e.harness import DaemonHarness
from tests.e2e.shapes import ID, REVISION, TIME, differences

TWO_TRIES = "echo x > made; if [ $STITCHER_TRY = 1 ]; then touch broken; else rm broken; fi"


@pytest.fixture(scope="module")
def done(daemon: DaemonHarness) -> Any:
    """A job from a webhook, completed in its second try."""
    return daemon.wait(daemon.comment(f"@mosaic fix {TWO_TRIES}", issue=1).json["jobId"])


def test_a_webhook_is_answered(daemon: DaemonHarness) -> None:
    name = str(uuid.uuid4())
    first = daemon.comment("@mosaic fix sleep 30", issue=2, X_GitHub_Delivery=name)
    assert first.status == 202
    assert differences(first.json, webhook("allowed", ID, "QUEUED", "trigger fix-on-command")) == []
    again = daemon.comment("@mosaic fix sleep 30", issue=2, X_GitHub_Delivery=name)
    seen = re.compile(rf"delivery {name} was received at {TIME.pattern}")
    assert again.status == 200
    assert differences(again.json, webhook("duplicate", ID, re.compile("QUEUED|RUNNING"), seen)) == []
    assert (again.json["deliveryId"], again.json["jobId"]) == (first.json["deliveryId"], first.json["jobId"])
    daemon.request("POST", f"/runner-jobs/{first.json['jobId']}/cancel")


def test_a_webhook_without_a_job_is_answered(daemon: DaemonHarness) -> None:
    denied = daemon.comment("@mosaic fix it", login="drive-by")
    assert denied.status == 200
    reason = "who: github:drive-by is in none of team, mosaic"
    assert differences(denied.json, webhook("denied", None, None, reason)) == []
    body = b'{"action": "edited", "issue": {"number": 1}, "comment": {}, "sender": {"login": "octocat"}}'
    ignored = daemon.github(body)
    assert ignored.status == 200
    assert differences(ignored.json, webhook("ignored", None, None, "no trigger wants issue_comment/edited")) == []
    decision = daemon.get(f"/deliveries/{denied.json['deliveryId']}")["decision"]
    assert differences(decision, {**DECISION, "verdict": "denied"}) == []
    assert decision["remedy"] == {"text": "add github:drive-by to team", "line": 3}


def test_errors_are_problem_documents(daemon: DaemonHarness) -> None:
    reply = daemon.github(b"{}", secret="another")
    hint = "compare the secret in the forge's webhook settings with sources.github.secrets"
    detail = "X-Hub-Signature-256 matches no secret of source github"
    assert (reply.status, reply.headers["Content-Type"]) == (401, "application/problem+json")
    assert differences(reply.json, problem(401, "Unauthorized", "bad_signature", detail, hint)) == []


def test_a_job_is_shown_completely(daemon: DaemonHarness, done: Any) -> None:
    assert differences(done, JOB) == []
    assert daemon.get(f"/runner-jobs/{done['id'][-8:]}")["id"] == done["id"]
    steps_run = [(step["phase"], step["type"], step["name"], step["try"], step["status"]) for step in done["steps"]]
    assert steps_run == [
        ("SETUP", "COMMAND", "checkout", None, "COMPLETED"),
        ("EXECUTION", "AI_ACTION", "agent", 1, "COMPLETED"),
        ("VALIDATION", "COMMAND", "commit", 1, "COMPLETED"),
        ("VALIDATION", "COMMAND", "gate tree", 1, "COMPLETED"),
        ("VALIDATION", "GATE", "tests", 1, "FAILED"),
        ("EXECUTION", "AI_ACTION", "agent", 2, "COMPLETED"),
        ("VALIDATION", "COMMAND", "commit", 2, "COMPLETED"),
        ("VALIDATION", "COMMAND", "gate tree", 2, "COMPLETED"),
        ("VALIDATION", "GATE", "tests", 2, "COMPLETED"),
        ("CLEANUP", "ARTIFACT", "publish", None, "COMPLETED"),
    ]
    assert [step["ordinal"] for step in done["steps"]] == list(range(1, 11))
    assert re.fullmatch(r"base [0-9a-f]{40} of main\n", done["steps"][0]["output"])
    assert (
        differences(done["events"][0], {**EVENT, "type": "job.created", "payload": {"trigger": "fix-on-command"}}) == []
    )
    kinds = [check["kind"] for check in done["decision"]["checks"]]
    order = ["trigger", "who", "guard", "capability", "limit"]
    assert kinds == sorted(kinds, key=order.index)


def test_jobs_are_listed_without_the_long_fields(daemon: DaemonHarness, done: Any) -> None:
    page = daemon.get("/runner-jobs?status=completed&limit=1")
    counts = {status.lower(): int for status in lifecycle.NEXT if status}
    assert differences(page, {"items": [LISTED], "next": (ID, None), "cursor": int, "counts": counts}) == []
    assert not LONG & page["items"][0].keys()
    assert list(page["counts"]) == ["pending", "queued", "running", "completed", "failed", "cancelled"]


def test_a_job_is_dispatched_manually(daemon: DaemonHarness) -> None:
    asked = {"type": "fix", "repository": "octo-org/api", "prompt": "true", "agentTaskId": "task-7"}
    reply = daemon.request("POST", "/runner-jobs", {**asked, "idempotencyKey": "k1"})
    assert reply.status == 201
    assert reply.json.keys() >= JOB.keys()
    assert (reply.json["agentTaskId"], reply.json["actor"]) == ("task-7", f"uid:{os.getuid()}")
    again = daemon.request("POST", "/runner-jobs", {**asked, "idempotencyKey": "k1"})
    assert (again.status, again.json["id"]) == (200, reply.json["id"])
    other = daemon.request("POST", "/runner-jobs", {**asked, "prompt": "false", "idempotencyKey": "k1"})
    assert (other.status, other.json["code"]) == (422, "invalid")
    dispatched = daemon.request("POST", "/stitcher/dispatch", asked)
    assert dispatched.status == 201
    assert differences(dispatched.json, {"jobId": ID, "queueName": "stitcher", "status": "QUEUED"}) == []


def test_a_running_job_is_cancelled(daemon: DaemonHarness, done: Any) -> None:
    job_id = daemon.dispatch("fix", "sleep 60")
    daemon.step(job_id, "agent")
    reply = daemon.request("POST", f"/runner-jobs/{job_id}/cancel", {"reason": "no longer wanted"})
    assert (reply.status, reply.json["status"], reply.json["cancelRequested"]) == (202, "RUNNING", True)
    job = daemon.wait(job_id, "CANCELLED")
    assert (job["events"][-1]["type"], job["events"][-1]["payload"]) == (
        "job.cancelled",
        {"reason": "no longer wanted"},
    )
    late = daemon.request("POST", f"/runner-jobs/{done['id']}/cancel")
    said = f"job {done['id'][-8:]} is COMPLETED"
    assert (late.status, differences(late.json, problem(409, "Conflict", "not_cancellable", said))) == (409, [])


def test_a_delivery_is_shown_with_its_decision(daemon: DaemonHarness, done: Any) -> None:
    seen = daemon.get(f"/deliveries/{done['deliveryId']}")
    assert differences(seen, {**DELIVERY, "decision": DECISION}) == []
    assert (seen["jobId"], seen["headers"]["X-GitHub-Event"]) == (done["id"], "issue_comment")
    assert "X-Hub-Signature-256" not in seen["headers"]
    body = daemon.request("GET", f"/deliveries/{done['deliveryId']}/body")
    assert (body.status, len(body.body)) == (200, seen["bodyBytes"])
    page = daemon.get("/deliveries?verdict=allowed&limit=500")
    assert differences(page, {"items": [DELIVERY], "next": None}) == []


def test_the_rails_are_shown(daemon: DaemonHarness) -> None:
    warning = {"line": int, "column": int, "message": str}
    wanted = {
        "revision": REVISION,
        "loadedAt": TIME,
        "mode": "enforce",
        "path": "rails.yaml",
        "text": daemon.rails.read_text(),
        "warnings": [warning],
        "error": None,
    }
    assert differences(daemon.get("/rails"), wanted) == []


def test_the_daemon_describes_itself(daemon: DaemonHarness) -> None:
    assert daemon.process is not None
    meta = daemon.get("/meta")
    wanted = {"version": str, "api": "1", "instance": str, "pid": daemon.process.pid, "startedAt": TIME}
    nothing = dict.fromkeys(("version", "protocol", "agents"))
    wanted |= {"executors": [{"name": str, "ok": True, "detail": str, "since": TIME, **nothing}]}
    assert differences(meta, wanted) == []
    ready = daemon.get("/readyz")
    check = {"name": str, "ok": True, "detail": str, "since": TIME}
    assert differences(ready, {"ready": True, "checks": [check]}) == []
    assert daemon.public("GET", "/readyz").json == {"ready": True}
    assert daemon.public("GET", "/healthz").status == 200


def test_the_stream_has_every_event_of_a_job(daemon: DaemonHarness, done: Any) -> None:
    first = done["events"][0]
    wanted = f"id: {first['id']}\nevent: job.created\ndata: ".encode()
    assert daemon.stream(f"/events?after={first['id'] - 1}&job={done['id']}", 1)[0].startswith(wanted)
    frames = daemon.stream(f"/events?after=0&job={done['id']}", len(done["events"]))
    assert [int(frame.split(b"\n")[0].removeprefix(b"id: ")) for frame in frames] == [it["id"] for it in done["events"]]
