"""`stitcher init`: writes a configuration to start from, from four answers or none, and starts the daemon with it."""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from shared.environment_file import ENVIRONMENT_FILE
from shared.locations import RAILS_FILE, SETTINGS_FILE, config_dir, user_config_dir
from tui.cli import exits
from tui.cli.agents import FoundAgent, find_agents
from tui.cli.doctor.settings import DEFAULT_LISTEN
from tui.cli.setup import first_start
from tui.cli.setup.answers import InvalidAnswer, SetupAnswers
from tui.cli.setup.first_start import start_and_try
from tui.cli.setup.interview import take_answers
from tui.cli.setup.report import say_agent, say_first_start, say_next
from tui.cli.setup.texts import UNIT, agent_of_rails, environment_text, rails_text, settings_text, unit_text
from tui.cli.terminal import Terminal
from tui.text.plain import plain

_ANSWERS = ("forge", "api", "events", "bot", "repository", "clone", "agent", "gateway", "allow", "listen")


def arguments(parser: ArgumentParser) -> None:
    """Add a flag for each answer, and what else is to be done."""
    group = parser.add_argument_group("answers", "On a terminal, what is not given is asked for.")
    group.add_argument("--forge", metavar="KIND", help="github, gitea (Forgejo too), gitlab, or mosaic: only the bot")
    group.add_argument("--api", metavar="URL", help="the API of the forge, or its address")
    group.add_argument(
        "--events", metavar="WAY", help="pull: the forge is asked; or webhooks (pull if there is a token)"
    )
    group.add_argument("--bot", metavar="LOGIN", help="the account that people mention or assign (mosaic)")
    group.add_argument("--repository", metavar="NAME", action="append", help="owner/name or owner/*; may be repeated")
    group.add_argument(
        "--clone", metavar="WHERE", help="a path or URL, with {owner} and {name}; by default, the forge's"
    )
    group.add_argument("--agent", metavar="AGENT", help="one that is found on PATH, openclaw, or a command")
    group.add_argument("--gateway", metavar="URL", help="of openclaw (ws://127.0.0.1:18789)")
    group.add_argument(
        "--allow", metavar="WHO", action="append",
        help="a login, permission:write (or read, admin), or for mosaic source; may be repeated",
    )  # fmt: skip
    group.add_argument("--listen", metavar="ADDRESS:PORT", help=f"where webhooks arrive ({DEFAULT_LISTEN})")
    parser.add_argument("--non-interactive", action="store_true", help="ask nothing; --json does not ask either")
    parser.add_argument("--systemd", action="store_true", help="also write a systemd user unit")
    parser.add_argument("--start", action="store_true", help="start stitcherd, and send it a signed test delivery")
    parser.epilog = (
        "No secret is a flag: GITHUB_TOKEN, GITEA_TOKEN or GITLAB_TOKEN, KIND_WEBHOOK_SECRET, the key of the agent's "
        "model and OPENCLAW_GATEWAY_TOKEN are taken from the environment."
    )


def run(options: Namespace, terminal: Terminal) -> int:
    """Write the files that do not exist yet, start the daemon if wanted, and print what is next; others are kept."""
    config = config_dir(options.config)
    # Rails that are written beside existing settings name none of these agents: the settings may not have them.
    found = [] if (config / SETTINGS_FILE).exists() else find_agents()
    try:
        answers = _take_answers(options, config, found, terminal)
    except InvalidAnswer as error:
        terminal.note(f"stitcher: {error}")
        return exits.USAGE
    except KeyboardInterrupt:
        terminal.note("\nstitcher: nothing was written")
        return exits.INTERRUPTED
    unit = user_config_dir() / "systemd" / "user" / UNIT
    agents = [answers.agent] if answers.agent else found
    managed = answers.given and first_start.has_user_manager()
    files = {
        config / SETTINGS_FILE: settings_text(answers, found),
        config / RAILS_FILE: rails_text(answers, found),
        **({config / ENVIRONMENT_FILE: environment_text(answers)} if answers.given else {}),
        **({unit: unit_text(config, agents)} if options.systemd or managed else {}),
    }
    try:
        written = [path for path, text in files.items() if _write_new(path, text)]
    except OSError as error:
        terminal.note(f"stitcher: {plain(str(error.filename))} cannot be written: {error.strerror}")
        return exits.USAGE
    if not options.json:
        _say_files(files, written, found, terminal)
        if config / RAILS_FILE in written and (named := agent_of_rails(answers, found)):
            say_agent(named, terminal)
    by_unit = managed and unit.read_text("utf-8") == files[unit]
    first = start_and_try(config, unit if by_unit else None, answers) if options.start else None
    if options.json:
        document = {"written": [str(path) for path in written], "agents": found}
        terminal.document(msgspec.json.encode(document | ({"start": first} if first else {})))
    else:
        if first:
            say_first_start(first, terminal)
        say_next(config, answers, found, terminal, runs=first is not None and first.started is not None)
    return exits.OK if first is None or first.ok else exits.FAILED


def _take_answers(options: Namespace, config: Path, found: Sequence[FoundAgent], terminal: Terminal) -> SetupAnswers:
    """Return the answers, none if there are files already; raises InvalidAnswer, KeyboardInterrupt."""
    paths = (config / name for name in (SETTINGS_FILE, RAILS_FILE, ENVIRONMENT_FILE))
    existing = next((path for path in paths if path.exists()), None)
    if existing and any(getattr(options, name) for name in _ANSWERS):
        raise InvalidAnswer(f"{plain(str(existing))} exists, and is not changed: edit it, or move it away first")
    asks = terminal.interactive and not (options.non_interactive or options.json or existing)
    return take_answers(options, found, terminal, asks=asks)


def _say_files(files: Iterable[Path], written: Sequence[Path], found: Sequence[FoundAgent], terminal: Terminal) -> None:
    for path in files:
        terminal.data(f"{'wrote ' if path in written else 'kept  '} {plain(str(path))}")
    for each in found:
        terminal.data(f"found  {each.agent.name}: {plain(each.program)}")


def _write_new(path: Path, text: str) -> bool:
    """Write a file that only its owner can read, unless it exists; returns whether it was written."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            path.chmod(0o600)
            file.write(text)
    except FileExistsError:
        return False
    return True
