"""Code of the agent that runs in one gate does not affect the gates after it."""

import json
from collections.abc import Iterator

import pytest

from tests.e2e.harness import DaemonHarness
from tests.stitcherd.sandbox.sandbox_host import needs_sandbox

GATES = """\
version: 1
profiles: {agent: {capabilities: [repo:read, repo:write, git:commit, exec:run], executor: agent, timeout: 1m BOX}}
jobs: {fix: {profile: agent, needs: [repo:write], gates: [first, second]}}
gates:
  first: {run: [sh, agents.sh], required: false BOX}
  second: {run: [sh, -c, SECOND] BOX}
"""
SECOND = """\
git status >/dev/null 2>&1
if [ -e deps/extra ] || [ -e out.pyc ]; then exit 0; fi
. ./deps/lint
if lint; then exit 0; fi
if command -v python3 >/dev/null; then PYTHONPATH=deps python3 -c 'raise SystemExit(9)'; else exit 9; fi
"""
# `prepare` creates a tool that reports a problem; a gate then replaces it.
PREPARE = """[["sh", "-c", "mkdir deps; echo 'lint() { return 9; }' > deps/lint"]]"""
AGENT = """printf "deps\\n*.pyc\\n" > .gitignore; echo ": ;{}" > agents.sh"""
PLANTS = (
    "echo 'lint() { :; }' > deps/lint",
    "touch deps/extra",
    "touch out.pyc",
    "rm -r deps; mkdir deps; echo 'lint() { :; }' > deps/lint",
    "echo 'import os; os._exit(0)' > deps/sitecustomize.py",
    "git config core.fsmonitor 'touch deps/extra; :'",
)


def rails(boxed: bool) -> str:
    return GATES.replace("SECOND", json.dumps(SECOND)).replace(
        " BOX", ", sandbox: bwrap, network: none" if boxed else ""
    )


@pytest.fixture(
    scope="module",
    params=[pytest.param(True, marks=needs_sandbox), False],
)
def daemon(request: pytest.FixtureRequest) -> Iterator[DaemonHarness]:
    with DaemonHarness(rails=rails(request.param), prepare=PREPARE) as built:
        built.start()
        yield built


@pytest.mark.parametrize("plant", PLANTS)
def test_a_gate_cannot_change_the_next_one(daemon: DaemonHarness, plant: str) -> None:
    job = daemon.run("fix", AGENT.format(plant))
    assert (job["status"], job["error"]["code"]) == ("FAILED", "gates_failed")
    exits = {step["name"]: step["exitCode"] for step in job["steps"] if step["type"] == "GATE"}
    assert exits == {"first": 0, "second": 9}
