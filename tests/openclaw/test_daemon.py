"""Tests whole jobs with the real daemon, a real gateway and a real repository."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.harness import DaemonHarness, wait_until
from tests.openclaw.conftest import LONG, SOON, RealGateway
from tests.stitcherd.executors.openclaw.tasks import claw_settings

pytestmark = pytest.mark.openclaw

RAILS = """
version: 1
people:
  team: {users: ["github:octocat"]}
triggers:
  - {id: fix-on-command, on: [issue.comment], command: fix, repos: ["octo-org/*"], from: [team], job: fix}
profiles:
  writer: {capabilities: [repo:read, repo:write, git:commit], executor: claw, timeout: 2m}
jobs:
  fix: {profile: writer, needs: [repo:write, git:commit], gates: [there]}
gates:
  there: {run: [test, -e, made.txt]}
"""


@pytest.fixture(scope="module")
def daemon(gateway: RealGateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonHarness]:
    settings = claw_settings(gateway.address, tmp_path_factory.mktemp("claw"))
    with DaemonHarness(settings=settings, rails=RAILS) as built:
        built.start()
        yield built


def play(*steps: dict[str, Any]) -> str:
    return f"Do this. <play>{json.dumps(steps)}</play>"


def made(name: str) -> dict[str, Any]:
    return {"tool": "write", "args": {"path": name, "content": "by an agent\n"}}


def test_a_job_becomes_a_commit(daemon: DaemonHarness) -> None:
    job_id = daemon.dispatch("fix", play({"say": "I write.", **made("made.txt")}, {"say": "done"}))
    job = daemon.wait(job_id, limit=LONG)
    assert (job["status"], job["error"]) == ("COMPLETED", None)
    assert daemon.git("show", f"{job['branch']}:made.txt") == "by an agent"
    assert job["usage"] == {"inputTokens": 200, "outputTokens": 20, "costUsd": 0.00024, "turns": 2}
    types = [event["type"] for event in job["events"]]
    assert types.index("ai.tool_called") < types.index("gate.passed")
    (step,) = [step for step in job["steps"] if step["type"] == "AI_ACTION"]
    assert (step["tokensInput"], step["tokensOutput"]) == (200, 20)


def test_a_comment_becomes_a_commit(daemon: DaemonHarness) -> None:
    answer = daemon.comment(f"@mosaic fix {play(made('made.txt'))}").json
    job = daemon.wait(answer["jobId"], limit=LONG)
    assert (job["status"], job["error"]) == ("COMPLETED", None)
    assert daemon.git("show", f"{job['branch']}:made.txt") == "by an agent"


def test_readiness_names_the_gateway(daemon: DaemonHarness) -> None:
    daemon.wait(daemon.dispatch("fix", play(made("made.txt"))), limit=LONG)

    def seen() -> Any:
        claw = next(it for it in daemon.get("/meta")["executors"] if it["name"] == "claw")
        return claw if claw["agents"] == {"there": 1, "wanted": 1} else None

    claw = wait_until(seen, "the agent is seen", LONG)
    assert (claw["ok"], claw["version"], claw["protocol"]) == (True, "2026.9.6", 4)


def test_an_agent_that_did_nothing_does_not_pass(daemon: DaemonHarness) -> None:
    job = daemon.wait(daemon.dispatch("fix", play({"say": "done, honestly"})), limit=LONG)
    assert job["error"]["code"] == "gates_failed"


def test_a_cancelled_job_is_over_in_two_seconds(daemon: DaemonHarness) -> None:
    job_id = daemon.dispatch("fix", play(made("first"), {"say": "late", "wait": 60}))
    wait_until(
        lambda: any(event["type"] == "ai.tool_called" for event in daemon.job(job_id)["events"]), "a tool's call", LONG
    )
    asked = time.monotonic()
    assert daemon.request("POST", f"/runner-jobs/{job_id}/cancel", {}).status == 202
    daemon.wait(job_id, "CANCELLED")
    assert time.monotonic() - asked < SOON
