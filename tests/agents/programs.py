"""The real programs of agents: how each is started for a scripted model, and asked for a command of its shell."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from msgspec import Struct

from shared.ids import new_id
from shared.program_mounts import needed_mounts
from stitcherd.config.settings import PriceSettings
from stitcherd.executors.base import AgentProfile, ExecutionResult, Task
from stitcherd.executors.command import CommandExecutor
from stitcherd.jobs.command_runner import CommandRunner
from stitcherd.sandbox.bubblewrap import SandboxSpec, unavailable_reason
from tests.agents.apis import Step
from tests.stitcherd.executors.openclaw.recording_sink import RecordingSink
from tools.agents.install import program

NEEDS_SANDBOX = pytest.mark.skipif(unavailable_reason() is not None, reason=str(unavailable_reason()))
PRICES = PriceSettings(input=3.0, output=15.0)


class Agent(Struct, frozen=True, kw_only=True):
    """A program; `argv` and `environ` are those for the model at a URL, `allow` lets it use its shell."""

    name: str
    argv: Callable[[str], tuple[str, ...]]
    environ: Callable[[str], Mapping[str, str]]
    shell: Callable[[str], Step]
    allow: tuple[str, ...] = ()
    files: Mapping[str, str] = MappingProxyType({})  # what its home has
    prices: PriceSettings | None = PRICES

    @property
    def needs(self) -> pytest.MarkDecorator:
        """The mark that skips a test where the program is not installed."""
        return pytest.mark.skipif(
            not program(self.name).exists(), reason=f"{self.name} is not installed: make test-agents"
        )

    def executor(self, url: str, *more: str, resume: bool = False) -> CommandExecutor:
        """Return its executor; `more` are further arguments."""
        return CommandExecutor(self.command(url, *more), self.name, self.prices, resume=resume)

    def command(self, url: str, *more: str) -> tuple[str, ...]:
        """Return its command line; `more` are further arguments, before a `-` at the end."""
        argv = self.argv(url)
        end = argv[-1:] if argv[-1] == "-" else ()
        return (str(program(self.name)), *argv[: len(argv) - len(end)], *more, *end)

    def task(
        self,
        directory: Path,
        url: str,
        *,
        sandboxed: bool = False,
        more: Mapping[str, str] = MappingProxyType({}),
        **profile: Any,
    ) -> Task:
        """Return a task with a checkout `work`, a TMPDIR `tmp` and a home of its own; `profile` is of its AgentProfile.

        In a sandbox the home is `agent`, in the place of `home`, which is not shown. `more` are further variables.
        """
        work, tmp, home, agent = (directory / name for name in ("work", "tmp", "home", "agent"))
        for each in (work, tmp, home, agent):
            each.mkdir()
        for name, text in self.files.items():
            file = (agent if sandboxed else home) / name
            file.parent.mkdir(parents=True)
            file.write_text(text)
        environ = {**self.environ(url), **more}
        runner = CommandRunner(
            job_id=new_id(),
            attempt=1,
            root=directory,
            cwd=work,
            tmp=tmp,
            environ={**os.environ, **environ, "HOME": str(home)},
            env_names=tuple(environ),
            sandbox=SandboxSpec(mounts=needed_mounts(str(program(self.name)))) if sandboxed else None,
            kept_home=agent if sandboxed else None,
        )
        return Task(
            job_id=runner.job_id,
            attempt=1,
            number=1,
            prompt="Fix it.",
            cwd=work,
            timeout=60.0,
            run_command=runner.run,
            profile=AgentProfile(name="weaver", **profile),
        )

    async def run(self, task: Task, url: str, *more: str) -> tuple[ExecutionResult, RecordingSink]:
        """Run the program for a task, and return what it reported too."""
        sink = RecordingSink()
        return await self.executor(url, *more).run(task, sink), sink


def _opencode_environ(url: str) -> dict[str, str]:
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "options": {"baseURL": f"{url}/v1", "apiKey": "no-key"},
        "models": {"m": {"limit": {"context": 100_000, "output": 8_000}}},
    }
    settings = {
        "model": "m/m",
        "small_model": "m/m",
        "autoupdate": False,
        "share": "disabled",
        "provider": {"m": provider},
    }
    return {
        "OPENCODE_CONFIG_CONTENT": json.dumps(settings),
        "OPENCODE_DISABLE_MODELS_FETCH": "1",
        "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
        "npm_config_offline": "true",  # its first start in a home installs plugins
    }


def _codex_options(url: str) -> tuple[str, ...]:
    fields = (
        'name = "m"',
        f'base_url = "{url}/v1"',
        'wire_api = "responses"',
        'env_key = "MODEL_KEY"',
        "request_max_retries = 1",
        "stream_max_retries = 1",
    )
    provider = f"model_providers.m={{{', '.join(fields)}}}"
    flags = ("--json", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox")
    return ("exec", *flags, "-c", 'model="m"', "-c", 'model_provider="m"', "-c", provider, "-")


CLAUDE = Agent(
    name="claude",
    argv=lambda _: ("-p", "--output-format", "stream-json", "--verbose", "--permission-mode", "acceptEdits"),
    environ=lambda url: {
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_API_KEY": "no-key",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "CLAUDE_CODE_MAX_RETRIES": "1",
    },
    shell=lambda command: ("Bash", {"command": command, "description": "a command"}),
    allow=("--allowedTools", "Bash"),
    prices=None,
)
CODEX = Agent(
    name="codex",
    argv=_codex_options,
    environ=lambda _: {"MODEL_KEY": "no-key"},
    shell=lambda command: ("exec_command", {"cmd": command, "yield_time_ms": 10_000}),
)
OPENCODE = Agent(  # its model has no prices in its settings
    name="opencode",
    argv=lambda _: ("run", "--format", "json"),
    environ=_opencode_environ,
    shell=lambda command: ("bash", {"command": command, "description": "a command"}),
)
GEMINI = Agent(
    name="gemini",
    argv=lambda _: ("-o", "stream-json", "-m", "gemini-2.5-pro"),
    environ=lambda url: {
        "GOOGLE_GEMINI_BASE_URL": url,
        "GEMINI_API_KEY": "no-key",
        "GEMINI_CLI_TRUST_WORKSPACE": "true",
    },
    shell=lambda command: ("run_shell_command", {"command": command, "description": "a command"}),
    allow=("--approval-mode", "yolo"),
    files={  # with the URL of a model it does not take the key for its kind of login
        ".gemini/settings.json": json.dumps(
            {
                "security": {"auth": {"selectedType": "gemini-api-key"}},
                "general": {"enableAutoUpdate": False},
                "privacy": {"usageStatisticsEnabled": False},
            }
        )
    },
)
AGENTS = (CLAUDE, CODEX, OPENCODE, GEMINI)


def each_agent() -> list[Any]:
    """Return the parameters of a test for each agent, which is skipped where its program is not installed."""
    return [pytest.param(agent, id=agent.name, marks=agent.needs) for agent in AGENTS]
