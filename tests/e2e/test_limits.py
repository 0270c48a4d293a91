"""Limits and the pause: what waits, what is throttled, what starts when."""

import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from tests.e2e.conftest import BuildDaemon
from tests.e2e.harness import TOKEN, DaemonHarness, wait_until

Limited = Callable[[str], DaemonHarness]
LIMITS = {
    "one": "limits: {running: {total: 1}}",
    "one-a-repository": "limits: {running: {total: 4, per_repo: 1}}",
    "rates": "limits: {rate: {per_sender: 2/h, per_thread: 1/d}}",
}


@pytest.fixture
def limited(build: BuildDaemon) -> Limited:
    """Return a function that starts a daemon with some of the limits."""

    def start(limits: str) -> DaemonHarness:
        daemon = build()
        daemon.rails.write_text(daemon.rails.read_text() + LIMITS[limits] + "\n")
        daemon.start()
        return daemon

    return start


def wait_until_held(daemon: DaemonHarness, job_id: str) -> Any:
    return wait_until(lambda: (job := daemon.job(job_id))["held"] and job, f"{job_id} is held")


def wait_for_release(daemon: DaemonHarness) -> str:
    """Return a script that waits until `release`, and no longer than a minute."""
    return f"for _ in $(seq 600); do test -e {daemon.root}/go && break; sleep 0.1; done"


def release(daemon: DaemonHarness) -> None:
    (daemon.root / "go").touch()


def test_a_job_beyond_the_limit_waits_and_says_why(limited: Limited) -> None:
    daemon = limited("one")
    first = daemon.dispatch("free", wait_for_release(daemon))
    daemon.wait(first, "RUNNING")
    others = [daemon.dispatch("free", priority=priority) for priority in (5, 9)]
    for other in others:
        job = wait_until_held(daemon, other)
        assert (job["status"], job["held"]) == ("QUEUED", "limit: 1 running in all")
        assert [event["payload"].get("held") for event in job["events"]].count(job["held"]) == 1
    daemon.kill()  # and the limit holds after it too
    daemon.start()
    again = daemon.dispatch("free", wait_for_release(daemon))
    wait_until(lambda: daemon.get("/runner-jobs?status=running")["items"] or None, "one runs")
    release(daemon)
    ended = [daemon.wait(each) for each in (*others, again)]
    assert {job["status"] for job in ended} == {"COMPLETED"}
    assert {job["held"] for job in ended} == {None}
    spans = sorted((job["startedAt"], job["completedAt"]) for job in ended)
    assert all(before[1] <= after[0] for before, after in pairwise(spans))


def test_a_full_repository_does_not_hold_jobs_of_another(limited: Limited) -> None:
    daemon = limited("one-a-repository")
    first = daemon.dispatch("free", wait_for_release(daemon))
    daemon.wait(first, "RUNNING")
    second = daemon.dispatch("free")
    assert wait_until_held(daemon, second)["held"] == "limit: 1 running on octo-org/api"
    assert daemon.run("free", repository=None)["status"] == "COMPLETED"
    assert daemon.job(second)["status"] == "QUEUED"
    daemon.rails.write_text(daemon.rails.read_text().replace("per_repo: 1", "per_repo: 2"))
    assert daemon.wait(second)["status"] == "COMPLETED"  # as soon as the rails allow it
    release(daemon)
    daemon.wait(first)


def test_a_held_job_can_be_cancelled(limited: Limited) -> None:
    daemon = limited("one")
    first = daemon.dispatch("free", wait_for_release(daemon))
    daemon.wait(first, "RUNNING")
    second = daemon.dispatch("free")
    wait_until_held(daemon, second)
    assert daemon.request("POST", f"/runner-jobs/{second}/cancel", {}).status == 202
    assert daemon.wait(second, "CANCELLED")["held"] is None
    release(daemon)
    assert daemon.wait(first)["status"] == "COMPLETED"


def test_rate_limits(limited: Limited) -> None:
    daemon = limited("rates")
    first = daemon.comment("@mosaic free true", issue=1)
    assert (first.status, first.json["verdict"]) == (202, "allowed")
    daemon.wait(first.json["jobId"])
    limits = [each for each in daemon.job(first.json["jobId"])["decision"]["checks"] if each["kind"] == "limit"]
    assert [(each["id"], each["outcome"], each["seen"]) for each in limits] == [
        ("limit:per_sender", "pass", "0 of 2 by now for github:octocat"),
        ("limit:per_thread", "pass", "0 of 1 by now for octo-org/api#1 (issue)"),
    ]
    again = daemon.comment("@mosaic free true", issue=1)
    assert (again.status, again.json["verdict"], again.json["jobId"]) == (200, "throttled", None)
    assert again.json["reason"].startswith("limit per_thread: 1/d for octo-org/api#1 (issue) is used up until 20")
    decision = daemon.get(f"/deliveries/{again.json['deliveryId']}")["decision"]
    assert decision["verdict"] == "throttled"
    assert decision["remedy"]["line"] == daemon.rails.read_text().count("\n")
    assert daemon.comment("@mosaic free true", issue=2).json["verdict"] == "allowed"
    daemon.kill()
    daemon.start()
    third = daemon.comment("@mosaic free true", issue=3)
    assert third.json["verdict"] == "throttled"
    assert "per_sender" in third.json["reason"]
    replay = f"/deliveries/{third.json['deliveryId']}/replay"
    dry = daemon.request("POST", replay, {"dryRun": True})
    assert (dry.status, dry.json["verdict"], dry.json["decision"]["verdict"]) == (200, "throttled", "throttled")
    explained = daemon.request("POST", "/rails/explain", {"deliveryId": third.json["deliveryId"]}).json
    assert {**explained, "micros": 0} == {**dry.json["decision"], "micros": 0}
    text = daemon.rails.read_text()
    assert daemon.request("POST", "/rails/simulate", {"text": text}).json["changed"] == []
    for _ in range(2):
        daemon.run("free")
    reply = daemon.request("POST", "/runner-jobs", {"type": "free"})
    assert (reply.status, reply.json["code"]) == (429, "throttled")
    assert 3000 < int(reply.headers["Retry-After"]) <= 3600


def test_pause_and_resume(limited: Limited) -> None:
    daemon = limited("one")
    running = daemon.dispatch("free", wait_for_release(daemon))
    daemon.wait(running, "RUNNING")
    paused = daemon.cli("pause", "--reason", "I am away")
    assert (paused.returncode, paused.stdout) == (0, f"{running[-8:]}\n")
    assert "(I am away)" in paused.stderr
    stored = daemon.comment("@mosaic free true", issue=5)
    assert (stored.status, stored.json["status"]) == (202, "QUEUED")
    release(daemon)
    assert daemon.wait(running)["status"] == "COMPLETED"
    assert wait_until_held(daemon, stored.json["jobId"])["held"].startswith("paused")
    daemon.kill()
    daemon.start()
    assert wait_until_held(daemon, stored.json["jobId"])["status"] == "QUEUED"
    state = daemon.get("/pause")
    assert (state["paused"], state["reason"], state["running"], state["queued"]) == (True, "I am away", [], 1)
    assert daemon.cli("resume").stderr == "jobs start again: 1 queued\n"
    assert daemon.wait(stored.json["jobId"])["status"] == "COMPLETED"
    assert daemon.get("/pause")["paused"] is False
    token = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    assert daemon.public("POST", "/pause", json.dumps({}).encode(), token).status == 403


def test_bots_in_a_row_must_wait_across_a_restart_until_a_person_asks(limited: Limited) -> None:
    daemon = limited("one")
    daemon.rails.write_text(
        daemon.rails.read_text().replace('["github:octocat"]', '["github:octocat", "github:fixer[bot]"]')
    )
    wait_until(lambda: "fixer" in daemon.get("/rails")["text"] or None, "the bot is let in")

    def asked(login: str) -> Any:
        reply = daemon.comment("@mosaic free true", issue=7, login=login).json
        if reply["jobId"]:
            daemon.wait(reply["jobId"])
        return reply

    assert [asked("fixer[bot]")["verdict"] for _ in range(4)] == ["allowed"] * 4
    daemon.kill()
    daemon.start()
    broken = asked("fixer[bot]")
    assert broken["verdict"] == "throttled"
    where = "octo-org/api#7 (issue)"
    assert broken["reason"].startswith(f"limit loop: bots asked 4 times in a row on {where} and must wait until 20")
    checks = daemon.get(f"/deliveries/{broken['deliveryId']}")["decision"]["checks"]
    loop = next(it for it in checks if it["id"] == "limit:loop")
    assert (loop["outcome"], loop["seen"]) == ("fail", f"4 in a row on {where}")
    assert [asked(login)["verdict"] for login in ("octocat", "fixer[bot]")] == ["allowed", "allowed"]
