"""A whole job: the real daemon, a real gateway, a real repository."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.openclaw.conftest import RealGateway
from tests.walks.house import House, until

pytestmark = pytest.mark.openclaw

RAILS = """
version: 1
profiles:
  writer: {capabilities: [repo:read, repo:write, git:commit], executor: claw, timeout: 2m}
  shell: {capabilities: [exec:run], tools: [exec], executor: claw}
jobs:
  fix: {profile: writer, needs: [repo:write, git:commit], gates: [there]}
  free: {profile: shell, needs: [exec:run]}
gates:
  there: {run: [test, -e, made.txt]}
"""


@pytest.fixture(scope="module")
def house(gateway: RealGateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    token = tmp_path_factory.mktemp("claw") / "token"
    token.touch(mode=0o600)
    token.write_text(str(gateway.address.token))
    settings = f'[executors.claw]\nkind = "openclaw"\nurl = "{gateway.address.url}"\ntoken = {{file = "{token}"}}'
    built = House(settings=settings, rails=RAILS)
    try:
        built.start()
        yield built
    finally:
        built.remove()


def play(*steps: dict[str, Any]) -> str:
    return f"Do this. <play>{json.dumps(steps)}</play>"


def made(name: str) -> dict[str, Any]:
    return {"tool": "write", "args": {"path": name, "content": "by an agent\n"}}


def test_a_job_becomes_a_commit(house: House) -> None:
    job_id = house.dispatch("fix", play({"say": "I write.", **made("made.txt")}, {"say": "done"}))
    job = house.wait(job_id, "COMPLETED")
    assert house.git("show", f"{job['branch']}:made.txt") == "by an agent"
    assert job["usage"] == {"inputTokens": 200, "outputTokens": 20, "costUsd": 0.00024}
    types = [event["type"] for event in job["events"]]
    assert types.index("ai.tool_called") < types.index("gate.passed")
    (step,) = [step for step in job["steps"] if step["type"] == "AI_ACTION"]
    assert (step["tokensInput"], step["tokensOutput"]) == (200, 20)


def test_an_agent_that_did_not_do_it_does_not_pass(house: House) -> None:
    job = house.wait(house.dispatch("fix", play({"say": "done, honestly"})), "FAILED")
    assert job["error"]["code"] == "gates_failed"


def test_a_profile_that_nothing_holds_is_denied_by_the_decision(house: House) -> None:
    reply = house.ask("POST", "/runner-jobs", {"type": "free", "prompt": "x", "repository": "octo-org/api"})
    assert reply.status == 403
    assert "free shell" in json.dumps(reply.json)


def test_a_cancelled_job_is_over_in_two_seconds(house: House) -> None:
    job_id = house.dispatch("fix", play(made("first"), {"say": "late", "wait": 60}))
    until(lambda: any(event["type"] == "ai.tool_called" for event in house.job(job_id)["events"]), "a tool's call")
    asked = time.monotonic()
    assert house.ask("POST", f"/runner-jobs/{job_id}/cancel", {}).status == 202
    house.wait(job_id, "CANCELLED")
    assert time.monotonic() - asked < 4.0  # two seconds, and as much again for a machine that is busy
