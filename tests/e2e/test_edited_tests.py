"""Agents that edit tests where the rails require an approval: exactly the approved commit is published."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.harness import DaemonHarness

RAILS = """
version: 1
people:
  team: {users: ["github:octocat"]}
profiles:
  weaver: {capabilities: [repo:read, repo:write, git:commit, exec:run], executor: agent, timeout: 1m}
jobs:
  fix: {profile: weaver, needs: [repo:write, git:commit], gates: [scope, good], tries: 2}
triggers:
  - {id: fix-on-command, on: [issue.comment], command: fix, from: [team], job: fix}
approvals: {expires: 1h}
paths:
  tests: {globs: [check.sh], may: add, on_edit: require-approval}
gates:
  scope: {builtin: diff-rules}
  good: {run: [sh, -c, "test ! -e bad"]}
"""
EDITS = "echo true >> check.sh"


@pytest.fixture(scope="module")
def daemon() -> Iterator[DaemonHarness]:
    with DaemonHarness(rails=RAILS) as built:
        built.start()
        yield built


def branches(daemon: DaemonHarness, job: Any) -> str:
    return daemon.git("branch", "--list", job["branch"])


def tries(job: Any) -> int:
    return sum(step["type"] == "AI_ACTION" for step in job["steps"])


def test_the_approved_commit_is_published(daemon: DaemonHarness) -> None:
    job = daemon.wait(daemon.dispatch("fix", EDITS), "PENDING")
    assert (job["lastEvent"], job["waiting"]["guards"], branches(daemon, job)) == ("job.waiting", ["paths.tests"], "")
    scope = next(step for step in job["steps"] if step["name"] == "scope")
    assert scope["status"] == "COMPLETED"
    assert "check.sh: tests: a test is changed, and the rails require the approval of a person" in scope["output"]
    daemon.kill()
    daemon.start()
    assert daemon.job(job["id"])["status"] == "PENDING"
    assert daemon.cli("approve", job["id"]).returncode == 0
    done = daemon.wait(job["id"], "COMPLETED")
    assert (done["attempt"], done["tries"]["used"], tries(done)) == (1, 1, 1), "the agent was not started again"
    assert daemon.git("rev-parse", done["branch"]) == done["result"]["commit"]
    assert daemon.git("show", f"{done['branch']}:check.sh").endswith("true")
    moved = [event["type"] for event in done["events"] if event["type"].startswith("job.")]
    assert moved[-6:] == ["job.started", "job.waiting", "job.approved", "job.queued", "job.started", "job.completed"]


def test_a_denied_commit_is_not_published(daemon: DaemonHarness) -> None:
    job = daemon.wait(daemon.dispatch("fix", EDITS), "PENDING")
    assert daemon.cli("deny", job["id"], "--reason", "the test was right").returncode == 0
    denied = daemon.wait(job["id"], "CANCELLED")
    assert (branches(daemon, denied), daemon.request("POST", f"/runner-jobs/{job['id']}/retry", {}).status) == ("", 409)


def test_only_a_commit_that_passed_all_other_gates_waits(daemon: DaemonHarness) -> None:
    job = daemon.wait(daemon.dispatch("fix", f"{EDITS}; touch bad"), "FAILED")
    assert (job["error"]["code"], tries(job)) == ("gates_failed", 2)
    fine = daemon.wait(daemon.dispatch("fix", "echo new > other"), "COMPLETED")
    assert "job.waiting" not in {event["type"] for event in fine["events"]}


def test_a_comment_on_the_thread_cannot_approve_it(daemon: DaemonHarness) -> None:
    asked = daemon.comment(f"@mosaic fix {EDITS}", issue=31).json
    job = daemon.wait(asked["jobId"], "PENDING")
    said = daemon.comment("@mosaic approve", issue=31).json
    assert said["verdict"] == "denied"
    assert "the operator answers for guard paths.tests" in said["reason"]
    assert daemon.job(job["id"])["status"] == "PENDING"
    daemon.request("POST", f"/runner-jobs/{job['id']}/cancel", {})
    daemon.wait(job["id"], "CANCELLED")
