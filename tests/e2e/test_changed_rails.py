"""Jobs whose rails change before they start: they are decided again, and so are approvals."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.conftest import BuildDaemon
from tests.e2e.harness import DaemonHarness, wait_until
from tests.e2e.webhooks import comment_body

RAILS = """
version: 1
people:
  team: {users: ["github:octocat"]}
  chiefs: {users: ["github:hubot"]}
profiles:
  weaver: {capabilities: [repo:read, repo:write, git:commit, exec:run], executor: agent, timeout: 1m, sandbox: none}
jobs:
  free: {profile: weaver, needs: [repo:write, git:commit], gates: [good]}
triggers:
  - {id: free-on-command, on: [issue.comment], command: free, from: [team], job: free}
guards: []
gates:
  good: {run: [sh, -c, "test ! -e bad"]}
"""
GUARD = "guards: [{id: read-first, if: {author_of: [issue], not_in: [chiefs]}, then: require-approval, by: [chiefs]}]"
GUARDED = RAILS.replace("guards: []", GUARD)
UNPINNED = GUARDED + "approvals: {pins: [text_hash]}\n"


def change_rails(daemon: DaemonHarness, text: str) -> None:
    before = daemon.get("/rails")["digest"]
    daemon.rails.write_text(text)
    wait_until(lambda: daemon.get("/rails")["digest"] != before, "other rails are in force")


def ask(daemon: DaemonHarness, script: str = "touch made") -> str:
    """Ask for a job on the thread while nothing may start; return its id."""
    assert daemon.request("POST", "/pause", {}).status in {200, 202}
    reply = daemon.comment(f"@mosaic free {script}")
    assert reply.status == 202, reply.body
    return str(reply.json["jobId"])


def resume(daemon: DaemonHarness) -> None:
    assert daemon.request("POST", "/resume", {}).status in {200, 202}


def was_started(job: Any) -> bool:
    return any(event["type"] == "job.started" for event in job["events"])


@pytest.fixture
def started(build: BuildDaemon) -> Callable[[str], DaemonHarness]:
    def start(rails: str) -> DaemonHarness:
        daemon = build(rails=rails)
        daemon.start()
        return daemon

    return start


def test_a_queued_job_of_a_person_who_was_removed_is_cancelled(started: Callable[[str], DaemonHarness]) -> None:
    daemon = started(RAILS)
    job_id = ask(daemon)
    change_rails(daemon, RAILS.replace("github:octocat", "github:somebody"))
    resume(daemon)
    job = daemon.wait(job_id, "CANCELLED")
    event = job["events"][-1]
    assert (event["type"], event["actor"], was_started(job)) == ("job.denied", "rails", False)
    assert "the rails changed from" in event["payload"]["reason"]
    assert "github:octocat is in none of team" in event["payload"]["reason"]
    assert (job["decision"]["verdict"], job["decision"]["railsDigest"]) == ("denied", daemon.get("/rails")["digest"])
    # A retry is asked again, too: under the same rails it is denied, under the old ones it runs.
    assert daemon.request("POST", f"/runner-jobs/{job_id}/retry", {}).status == 202
    wait_until(
        lambda: [event["type"] for event in daemon.job(job_id)["events"]].count("job.denied") == 2, "it is denied again"
    )
    change_rails(daemon, RAILS)
    assert daemon.request("POST", f"/runner-jobs/{job_id}/retry", {}).status == 202
    daemon.wait(job_id, "QUEUED", "RUNNING", "COMPLETED")
    assert daemon.wait(job_id, "COMPLETED")["result"]["commit"]


@pytest.mark.parametrize("pins", [GUARDED, UNPINNED])
def test_an_approved_job_whose_type_was_removed_does_not_start(
    started: Callable[[str], DaemonHarness], pins: str
) -> None:
    daemon = started(pins)
    job_id = ask(daemon)
    assert daemon.request("POST", f"/runner-jobs/{job_id}/approve", {}).status == 202
    change_rails(daemon, "version: 1\n")
    resume(daemon)
    assert not was_started(daemon.wait(job_id, "CANCELLED"))


def test_a_granted_approval_is_void_under_changed_rails(started: Callable[[str], DaemonHarness]) -> None:
    daemon = started(GUARDED)
    job_id = ask(daemon)
    assert daemon.comment("@mosaic approve", login="hubot").json["verdict"] == "allowed"
    assert daemon.job(job_id)["status"] == "QUEUED"
    change_rails(daemon, GUARDED.replace("test ! -e bad", "test ! -e worse"))
    resume(daemon)
    job = daemon.wait(job_id, "PENDING")
    assert (job["lastEvent"], job["waiting"]["guards"], was_started(job)) == ("job.waiting", ["read-first"], False)
    assert "the rails changed from" in job["events"][-1]["payload"]["reason"]
    assert job["railsDigest"] == daemon.get("/rails")["digest"]
    assert daemon.request("POST", f"/runner-jobs/{job_id}/approve", {}).status == 202
    assert daemon.wait(job_id, "COMPLETED")["railsDigest"] == job["railsDigest"]


@pytest.mark.parametrize(("chiefs", "holds"), [('"github:hubot", "github:new"', True), ('"github:new"', False)])
def test_an_approval_is_void_once_its_approver_was_removed(
    started: Callable[[str], DaemonHarness], chiefs: str, holds: bool
) -> None:
    daemon = started(UNPINNED)
    job_id = ask(daemon)
    assert daemon.comment("@mosaic approve", login="hubot").json["verdict"] == "allowed"
    change_rails(daemon, UNPINNED.replace('"github:hubot"', chiefs))
    resume(daemon)
    job = daemon.wait(job_id, "COMPLETED" if holds else "PENDING")
    assert was_started(job) is holds
    assert daemon.comment("@mosaic approve", login="hubot").json["verdict"] != "allowed"
    if not holds:
        assert daemon.comment("@mosaic approve", login="new").json["verdict"] == "allowed"
        daemon.wait(job_id, "COMPLETED")


@pytest.mark.parametrize(("number", "holds"), [(7, True), (8, False)])
def test_an_approval_is_void_once_the_rails_mean_another_account_by_its_login(
    started: Callable[[str], DaemonHarness], number: int, holds: bool
) -> None:
    daemon = started(UNPINNED)
    job_id = ask(daemon)
    comment = json.loads(comment_body("@mosaic approve", login="hubot"))
    comment["sender"] = comment["comment"]["user"] = {"login": "hubot", "id": 7}
    assert daemon.github(json.dumps(comment).encode()).json["verdict"] == "allowed"
    change_rails(daemon, UNPINNED.replace("github:hubot", f"github:hubot#{number}"))
    resume(daemon)
    assert was_started(daemon.wait(job_id, "COMPLETED" if holds else "PENDING")) is holds


def test_a_job_that_is_still_allowed_runs_as_the_rails_now_say(started: Callable[[str], DaemonHarness]) -> None:
    daemon = started(RAILS)
    job_id = ask(daemon, "touch worse")
    change_rails(daemon, RAILS.replace("test ! -e bad", "test ! -e worse"))
    resume(daemon)
    job = daemon.wait(job_id, "FAILED")
    assert (job["error"]["code"], job["railsDigest"]) == ("gates_failed", daemon.get("/rails")["digest"])


def test_a_job_keeps_its_rails_where_its_type_is_the_same(started: Callable[[str], DaemonHarness]) -> None:
    daemon = started(RAILS)
    job_id = ask(daemon)
    first = daemon.get("/rails")["digest"]
    change_rails(daemon, f"# a comment\n{RAILS}")
    resume(daemon)
    job = daemon.wait(job_id, "COMPLETED")
    assert (job["railsDigest"], job["decision"]["railsDigest"]) == (first, daemon.get("/rails")["digest"])


def test_queued_jobs_are_held_while_the_rails_only_observe(started: Callable[[str], DaemonHarness]) -> None:
    daemon = started(RAILS)
    job_id = ask(daemon)
    change_rails(daemon, RAILS.replace("version: 1", "version: 1\nmode: observe"))
    resume(daemon)
    wait_until(lambda: daemon.job(job_id)["held"] == "the rails in force only observe", "it is held")
    change_rails(daemon, RAILS)
    daemon.wait(job_id, "QUEUED", "RUNNING", "COMPLETED")
    assert daemon.wait(job_id, "COMPLETED")["held"] is None


EDITS = "echo true >> check.sh"
SCOPED = (
    RAILS.replace("gates: [good]", "gates: [scope, good]").replace(
        "gates:\n", "gates:\n  scope: {builtin: diff-rules}\n"
    )
    + "paths: {tests: {globs: [check.sh], may: add, on_edit: require-approval}}\n"
)


def branch(daemon: DaemonHarness, job: Any) -> str:
    return daemon.git("branch", "--list", job["branch"])


def approve(daemon: DaemonHarness, job_id: str) -> None:
    assert daemon.request("POST", f"/runner-jobs/{job_id}/approve", {}).status == 202


def test_a_commit_that_is_forbidden_now_is_not_published(started: Callable[[str], DaemonHarness]) -> None:
    daemon = started(SCOPED)
    job = daemon.wait(daemon.dispatch("free", EDITS), "PENDING")
    change_rails(daemon, SCOPED.replace("require-approval", "deny"))
    approve(daemon, job["id"])
    job = daemon.wait(job["id"], "FAILED")
    assert (job["error"]["code"], branch(daemon, job)) == ("gates_failed", "")
    assert "gate scope failed under the rails in force" in job["error"]["detail"]
    assert daemon.request("POST", f"/runner-jobs/{job['id']}/retry", {}).status == 202


def test_a_commit_whose_type_was_removed_is_not_published(started: Callable[[str], DaemonHarness]) -> None:
    daemon = started(SCOPED)
    job = daemon.wait(daemon.dispatch("free", EDITS), "PENDING")
    change_rails(daemon, "version: 1\n")
    approve(daemon, job["id"])
    assert branch(daemon, daemon.wait(job["id"], "CANCELLED")) == ""


@pytest.mark.parametrize("back", [False, True])
def test_a_commit_that_still_needs_an_approval_waits_again(started: Callable[[str], DaemonHarness], back: bool) -> None:
    daemon = started(SCOPED)
    job = daemon.wait(daemon.dispatch("free", EDITS), "PENDING")
    change_rails(daemon, f"# a comment\n{SCOPED}")
    approve(daemon, job["id"])

    def waits_again() -> Any:
        found = daemon.job(job["id"])
        types = [event["type"] for event in found["events"]]
        return found if found["status"] == "PENDING" and types.count("job.waiting") == 2 else None

    assert branch(daemon, wait_until(waits_again, "it waits again")) == ""
    if back:
        change_rails(daemon, SCOPED)
    else:
        approve(daemon, job["id"])
        job = daemon.wait(job["id"], "QUEUED", "RUNNING", "COMPLETED")
        job = daemon.wait(job["id"], "COMPLETED")
        assert branch(daemon, job) != ""
        assert sum(step["type"] == "AI_ACTION" for step in job["steps"]) == 1
        return
    assert (daemon.job(job["id"])["status"], branch(daemon, job)) == ("PENDING", "")


def test_a_commit_that_needs_no_approval_now_is_published(started: Callable[[str], DaemonHarness]) -> None:
    daemon = started(SCOPED)
    job = daemon.wait(daemon.dispatch("free", EDITS), "PENDING")
    change_rails(daemon, SCOPED.replace("require-approval", "allow"))
    approve(daemon, job["id"])
    assert branch(daemon, daemon.wait(job["id"], "COMPLETED")) != ""


@pytest.mark.parametrize(
    ("found", "becomes", "status"),
    [
        ("test ! -e bad", "test ! -e made", "FAILED"),
        ("test ! -e bad", "test ! -e other", "COMPLETED"),
        ("version: 1", "# a comment\nversion: 1", "COMPLETED"),
        ("from: [team]", "from: [chiefs]", "CANCELLED"),
        ("guards: []", GUARD, "PENDING"),
    ],
)
def test_a_commit_is_decided_again_where_the_rails_change_while_the_agent_works(
    started: Callable[[str], DaemonHarness], found: str, becomes: str, status: str
) -> None:
    daemon = started(RAILS)
    reply = daemon.comment(f"@mosaic free touch made; while test ! -e {daemon.root}/go; do sleep 0.05; done")
    job_id = str(reply.json["jobId"])
    daemon.step(job_id, "agent")
    change_rails(daemon, RAILS.replace(found, becomes))
    (daemon.root / "go").touch()
    job = wait_until(lambda: job if (job := daemon.job(job_id))["status"] == status else None, f"the job is {status}")
    assert sum(step["type"] == "AI_ACTION" for step in job["steps"]) == 1
    assert bool(branch(daemon, job)) is (status == "COMPLETED")
    if status == "PENDING":
        approve(daemon, job_id)
        assert branch(daemon, daemon.wait(job_id, "COMPLETED")) != ""
