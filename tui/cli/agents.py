"""Finds the programs of known agents on PATH, and enters them in the files that `stitcher init` writes."""

import json
import shutil
from collections.abc import Mapping, Sequence

from msgspec import Struct

from shared.program_mounts import needed_mounts

_EXAMPLE = "#[executors.agent]\n"


class KnownAgent(Struct, frozen=True):
    """An agent's program: its executor, and the environment variable that its key is usually in."""

    argv: tuple[str, ...]
    key: str
    output: str = ""  # empty for an agent that speaks the Agent Client Protocol
    prices: bool = False  # whether its dollars are counted only with the prices of its model
    note: str = ""

    @property
    def name(self) -> str:
        """The name of the program, and of its executor."""
        return self.argv[0]


class FoundAgent(Struct, frozen=True):
    """A known agent that is on PATH, and the directories that a sandbox has to show for it."""

    agent: KnownAgent
    program: str
    mounts: tuple[str, ...]


KNOWN_AGENTS = (  # the first one that is found is entered in the rails; docs/agents.md has the versions
    KnownAgent(
        ("claude", "-p", "--output-format", "stream-json", "--verbose", "--permission-mode", "acceptEdits"),
        key="ANTHROPIC_API_KEY",
        output="claude",
    ),
    KnownAgent(
        ("codex", "exec", "--json", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", "-"),
        key="CODEX_API_KEY",
        output="codex",
        prices=True,
        note="Its own sandbox is off, since it does not work in that of the profile: have it on where there is none.",
    ),
    KnownAgent(("opencode", "run", "--format", "json"), key="ANTHROPIC_API_KEY", output="opencode", prices=True),
    KnownAgent(
        ("gemini", "-o", "stream-json", "-m", "gemini-2.5-pro", "--approval-mode", "auto_edit"),
        key="GEMINI_API_KEY",
        output="gemini",
        prices=True,
    ),
    KnownAgent(("claude-agent-acp",), key="ANTHROPIC_API_KEY"),
    KnownAgent(("codex-acp",), key="CODEX_API_KEY"),
)


def find_agents() -> list[FoundAgent]:
    """Return the known agents whose programs are on PATH, in the order of the table."""
    programs = ((agent, shutil.which(agent.name)) for agent in KNOWN_AGENTS)
    return [FoundAgent(agent, program, needed_mounts(program)) for agent, program in programs if program]


def enter_executors(settings: str, agents: Sequence[FoundAgent]) -> str:
    """Return the text of stitcherd.toml with an executor for each agent, before the example of one."""
    before, example, after = settings.partition(_EXAMPLE)
    return before + "".join(_executor(each) for each in agents) + example + after


def enter_profile(rails: str, found: FoundAgent) -> str:
    """Return the text of rails.yaml with the agent in its profile: its executor, its mounts and its key's variable."""
    agent = found.agent
    lines = {
        "    executor: ": agent.name,
        "    network: ": f"host                   # {agent.name} asks its model over the network; none = no network",
        "    mounts: ": f"{_list(found.mounts)}   # where its program is, read-only",
        "    env: ": f"[{agent.key}]        # passed on to the agent, which sees no login: its home there is empty",
    }
    return replace_lines(rails, {start: start + value for start, value in lines.items()})


def replace_lines(text: str, lines: Mapping[str, str | None]) -> str:
    """Return a text with the first line that begins with each key replaced by its value, or left out if it is None."""
    left, written = dict(lines), list[str]()
    for line in text.splitlines():
        start = next((start for start in left if line.startswith(start)), None)
        replaced = line if start is None else left.pop(start)
        if replaced is not None:
            written.append(replaced)
    return "\n".join(written) + "\n"


def _executor(found: FoundAgent) -> str:
    agent = found.agent
    lines = [
        f"[executors.{agent.name}]",
        "# With `sandbox: bwrap` its profile needs `network: host`, since it asks its model over the network, and:",
        f"#   mounts: {_list(found.mounts)}",
        f"#   env: [{agent.key}]",
        f'kind = "{"command" if agent.output else "acp"}"',
        f"argv = {_list(agent.argv)}",
    ]
    if agent.note:
        lines.insert(1, f"# {agent.note}")
    if agent.output:
        lines.append(f'output = "{agent.output}"')
    lines.append("resume = true")
    if agent.prices:
        lines.append("# It tells tokens, but not always dollars: without the prices of its model they are not counted.")
        lines.append("#prices = {input = 3.0, output = 15.0}")
    return "\n".join([*lines, "", ""])


def _list(words: Sequence[str]) -> str:
    return json.dumps(words, ensure_ascii=False)  # TOML and YAML read it alike
