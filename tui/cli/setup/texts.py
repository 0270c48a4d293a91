"""Enters the answers of `stitcher init` in the shipped files, so that their comments stay where they belong."""

import json
import os
import shlex
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from shared.environment_file import ENVIRONMENT_FILE
from shared.locations import RAILS_FILE, SETTINGS_FILE, shipped_file, user_config_dir
from shared.program_mounts import needed_mounts
from tui.cli.agents import FoundAgent, enter_executors, enter_profile, replace_lines
from tui.cli.setup.answers import GATEWAY_TOKEN, Agent, Allowed, CommandAgent, ForgeAnswer, Gateway, SetupAnswers

UNIT = "stitcherd.service"

_SYSTEM_PATH = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}

_REPORTING = "issue:comment, status:set, change:open"
_REPORT = """
# What is said at the forge: docs/rails.md describes each key.
report:
  acknowledge: reaction             # at the comment that asked
  thread: single-comment            # one comment on the thread, edited as its jobs go on
  status: "stitcher/{job}"
  change: open                      # a pull or merge request for the branch of a job that completed
  explain_denials_to: [team]
"""
_OF_GATEWAY = {
    "    executor: ": "    executor: openclaw",
    "    sandbox: ": '    # What the gateway lets it use. To let it run programs, list them: "exec:make".',
    "    network: ": "    tools: [read, ls, write, edit]",
    "    mounts: ": None,
    "    env: ": None,
}
_WARNING = """\
# Variables of stitcherd, one NAME=VALUE a line. Secrets: readable by you alone, and never to be committed.
"""


def settings_text(answers: SetupAnswers, found: Sequence[FoundAgent]) -> str:
    """Return stitcherd.toml: the shipped one with a source, repositories and executors, each before its example."""
    text = shipped_file(SETTINGS_FILE).read_text("utf-8")
    if answers.listen:
        text = replace_lines(text, {"listen = ": f'listen = "{answers.listen}"'})
    if answers.forge:
        text = _before(text, "#[sources.github]\n", _source(answers.forge))
    if answers.repositories:
        entries = [_repository(each, answers.clone or "") for each in answers.repositories]
        text = _before(text, '#[repositories."octo-org/*"]\n', "".join(entries))
    match answers.agent:
        case CommandAgent(argv):
            block = f'[executors.agent]\nkind = "command"\nargv = {_list(argv)}\n\n'
            return _before(text, "#[executors.agent]\n", block)
        case Gateway(url):
            block = f'[executors.openclaw]\nkind = "openclaw"\nurl = "{url}"\ntoken = {{env = "{GATEWAY_TOKEN}"}}\n\n'
            return _before(text, "#[executors.openclaw]\n", block)
        case FoundAgent():
            return enter_executors(text, [answers.agent])
    return enter_executors(text, found)


def agent_of_rails(answers: SetupAnswers, found: Sequence[FoundAgent]) -> FoundAgent | None:
    """Return the known agent that the profile of the rails names: the answer, else the first that was found."""
    if answers.agent is None:
        return found[0] if found else None
    return answers.agent if isinstance(answers.agent, FoundAgent) else None


def rails_text(answers: SetupAnswers, found: Sequence[FoundAgent]) -> str:
    """Return rails.yaml: the shipped one with the people, the profile of the agent, and what is said at the forge."""
    text = shipped_file(RAILS_FILE).read_text("utf-8")
    if named := agent_of_rails(answers, found):
        text = enter_profile(text, named)
    elif isinstance(answers.agent, Gateway):
        text = replace_lines(text, _OF_GATEWAY)
    elif isinstance(answers.agent, CommandAgent):
        mounts = _list(needed_mounts(answers.agent.program))
        text = replace_lines(text, {"    mounts: ": f"    mounts: {mounts}   # where its program is, read-only"})
    forge = answers.forge
    if forge and answers.allowed:
        text = _with_people(text, forge, answers.allowed)
    if (
        forge and forge.kind.name == "gitlab"
    ):  # which has no event of its own for an issue that is opened with assignees
        text = text.replace("    on: [issue.assigned]\n", "    on: [issue.assigned, issue.opened]\n")
    if forge and forge.token:
        text = text.replace("git:commit, exec:run]", f"git:commit, exec:run, {_REPORTING}]", 1) + _REPORT
    return text


def environment_text(answers: SetupAnswers) -> str:
    """Return the environment file: each variable that a written file names, those without a value as comments."""
    lines = [f"{name}={value}" for name, value in sorted(answers.variables.items())]
    forge, agent = answers.forge, answers.agent
    wanted = [agent.agent.key] if isinstance(agent, FoundAgent) else []
    if forge and forge.kind.is_forge:
        wanted.append(forge.kind.token_name)
    lines += [f"#{name}=" for name in wanted if name not in answers.variables]
    return _WARNING + "".join(f"{line}\n" for line in lines)


def unit_text(config: Path, agents: Sequence[Agent]) -> str:
    """Return the systemd user unit, which starts the stitcherd that is on PATH with this configuration directory.

    Where an agent is in none of the directories in which systemd looks for programs, the unit has our PATH.
    """
    command = _unit_word(shutil.which("stitcherd") or "stitcherd")
    text = shipped_file(UNIT).read_text("utf-8")
    if config != user_config_dir() / "stitcher":
        command += f" --config {_unit_word(str(config))}"
        text = text.replace("%E/stitcher/environment", _escape(str(config / ENVIRONMENT_FILE)))
    programs = [Path(agent.program).parent for agent in agents if not isinstance(agent, Gateway)]
    if not _SYSTEM_PATH.issuperset(map(str, programs)):
        command += f'\nEnvironment="PATH={_escape(os.environ["PATH"])}"'
    return text.replace("ExecStart=stitcherd\n", f"ExecStart={command}\n")


def _source(forge: ForgeAnswer) -> str:
    kind = forge.kind
    lines = [
        f"[sources.{kind.name}]",
        f'kind = "{kind.name}"',
        f"# The secret of its webhooks, for {_endpoint(kind.name)}; it is in the file environment.",
        f'secrets = [{{env = "{kind.secret_name}"}}]',
        f'bot = "{forge.bot}"',
    ]
    if forge.api:
        lines += [f'api = "{forge.api}"', "# A token of the bot's account; it is in the file environment."]
        lines.append(f'{"" if forge.token else "#"}token = {{env = "{kind.token_name}"}}')
        lines.append("# How often the forge is asked what happened. A webhook may be added besides.")
        lines.append(f'{"" if forge.pull else "#"}pull = "60s"')
    return "\n".join([*lines, "", ""])


def _endpoint(name: str) -> str:
    return "the path /stitcher/webhook" if name == "mosaic" else f"the path /stitcher/webhook/{name}"


def _repository(pattern: str, clone: str) -> str:
    return f'[repositories."{pattern}"]\nclone = {json.dumps(clone, ensure_ascii=False)}\n\n'


def _with_people(text: str, forge: ForgeAnswer, allowed: Allowed) -> str:
    source = forge.kind.name
    keys: Mapping[str, str] = {
        "permission": allowed.permission or "",
        "users": _list([f"{source}:{login}" for login in allowed.logins]) if allowed.logins else "",
        "sources": f"[{source}]" if allowed.by_source else "",
    }
    members = ", ".join(f"{key}: {value}" for key, value in keys.items() if value)
    example = f'"{source}:octocat"'
    lines = {
        "# Nobody may start a job until": f"# Who may start jobs; nobody else may. An account is written {example},",
        "# The source is the name of": "# and {permission: write} is whoever may push, asked of the forge.",
        "  team: ": f"  team: {{{members}}}",
    }
    return replace_lines(text, lines)


def _before(text: str, example: str, block: str) -> str:
    before, found, after = text.partition(example)
    return before + block + found + after


def _list(words: Sequence[str]) -> str:
    return json.dumps(words, ensure_ascii=False)  # TOML and YAML read it alike


def _unit_word(word: str) -> str:
    return _escape(word) if shlex.quote(word) == word else f'"{_escape(word)}"'


def _escape(text: str) -> str:
    return text.replace("%", "%%")
