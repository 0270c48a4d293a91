"""Runs whole jobs with the real programs in the sandbox: a gate fails once, and the second try resumes the session."""

import json
from pathlib import Path

import pytest

from shared.program_mounts import needed_mounts
from tests.agents.apis import INPUT, OUTPUT
from tests.agents.model import serve
from tests.agents.programs import NEEDS_SANDBOX, Agent, each_agent
from tests.e2e.harness import DaemonHarness
from tools.agents.install import program

pytestmark = [pytest.mark.agents, NEEDS_SANDBOX]
RAILS = """\
version: 1
profiles:
  weaver:
    capabilities: [repo:read, repo:write, git:commit, exec:run]
    executor: {name}
    timeout: 2m
    sandbox: bwrap
    network: host
    mounts: {mounts}
    env: {env}
jobs:
  fix: {{profile: weaver, needs: [repo:write, git:commit], gates: [done], tries: 2}}
gates:
  done: {{run: [sh, -c, "test -e done"]}}
limits: {{budget: {{per_job: {{turns: 9, usd: 1}}}}}}
"""


def save_settings(agent: Agent, directory: Path) -> dict[str, str]:
    """Save the settings that an agent has in its home, which a job has none of, and return where they are."""
    if not agent.files:
        return {}
    [settings] = agent.files.values()
    path = directory / "settings.json"
    path.write_text(settings)
    return {"GEMINI_CLI_SYSTEM_SETTINGS_PATH": str(path)}


@pytest.mark.parametrize("agent", each_agent())
def test_a_job_completes_in_its_second_try_with_the_usage_of_the_model(
    agent: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = [agent.shell("echo hello > a.txt"), "I did it", agent.shell("cp a.txt done"), "now I did it"]
    names = set(Path.home().iterdir())
    with serve(steps) as model:
        environ = {**agent.environ(model.url), **save_settings(agent, tmp_path)}
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        mounts = json.dumps([*needed_mounts(str(program(agent.name))), str(tmp_path)])
        rails = RAILS.format(name=agent.name, mounts=mounts, env=json.dumps(list(environ)))
        with DaemonHarness(rails=rails) as daemon:
            argv = agent.command(model.url, *agent.allow)
            prices = "prices = {input = 3.0, output = 15.0}" if agent.prices else ""
            daemon.configure(
                f'[executors.{agent.name}]\nkind = "command"\nargv = {json.dumps(argv)}\n'
                f'output = "{agent.name}"\nresume = true\n{prices}\n'
            )
            daemon.start()
            job = daemon.wait(daemon.dispatch("fix", "Do it."), limit=60)
            assert job["status"] == "COMPLETED", job["error"]
            daemon.wait_until_clean()
            files = daemon.git("ls-tree", "--name-only", job["result"]["commit"]).splitlines()
    assert files == ["a.txt", "check.sh", "done", "readme"], "nothing of its home is committed"
    assert job["tries"] == {"used": 2, "max": 2}
    assert (job["usage"]["inputTokens"], job["usage"]["outputTokens"]) == (4 * INPUT, 4 * OUTPUT)
    assert (job["usage"]["turns"], job["usage"]["costUsd"] > 0) == (4, True)
    told = [each["type"] for each in job["events"] if each["type"].startswith(("ai.tool_", "ai.session_"))]
    assert told == ["ai.tool_called", "ai.session_resumed", "ai.tool_called"]
    assert set(Path.home().iterdir()) == names
