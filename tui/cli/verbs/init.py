"""`stitcher init`: writes a configuration to start from."""

import shutil
from argparse import ArgumentParser, Namespace
from pathlib import Path

import msgspec

from shared.locations import RAILS_FILE, SETTINGS_FILE, config_dir, shipped_file
from tui.cli import exits
from tui.cli.agents import FoundAgent, enter_executors, enter_profile, find_agents
from tui.cli.terminal import Terminal
from tui.text.plain import plain

UNIT = "stitcherd.service"


def arguments(parser: ArgumentParser) -> None:
    """Add --systemd."""
    parser.add_argument("--systemd", action="store_true", help="also write a systemd user unit")


def run(options: Namespace, terminal: Terminal) -> int:
    """Write the files that do not exist yet, with the agents on PATH, and print the next steps; others are kept."""
    directory = config_dir(options.config)
    # Rails that are written beside existing settings name none of these agents: the settings may not have them.
    agents = [] if (directory / SETTINGS_FILE).exists() else find_agents()
    files = {directory / name: shipped_file(name).read_text("utf-8") for name in (SETTINGS_FILE, RAILS_FILE)}
    if agents:
        files[directory / SETTINGS_FILE] = enter_executors(files[directory / SETTINGS_FILE], agents)
        files[directory / RAILS_FILE] = enter_profile(files[directory / RAILS_FILE], agents[0])
    if options.systemd:
        files[config_dir(None).parent / "systemd" / "user" / UNIT] = _unit()
    try:
        written = [path for path, text in files.items() if _write_new(path, text)]
    except OSError as error:
        terminal.note(f"stitcher: {plain(str(error.filename))} cannot be written: {error.strerror}")
        return exits.USAGE
    if options.json:
        document = {"written": [str(path) for path in written], "agents": agents}
        terminal.document(msgspec.json.encode(document))
        return exits.OK
    for path in files:
        terminal.data(f"{'wrote ' if path in written else 'kept  '} {plain(str(path))}")
    for found in agents:
        terminal.data(f"found  {found.agent.name}: {plain(found.program)}")
    if agents and directory / RAILS_FILE in written:
        _say_profile(agents[0], terminal)
    missing = "sources and repositories" if agents else "sources, repositories and agent"
    terminal.note(f"next: enter your {missing} in stitcherd.toml, and yourself in rails.yaml;")
    terminal.note("then run `stitcherd --check`, `stitcher doctor`, and `stitcherd`")
    return exits.OK


def _say_profile(found: FoundAgent, terminal: Terminal) -> None:
    agent = found.agent
    terminal.note(
        f"the rails start {agent.name}, in a sandbox that has the network, where its model is (network: host),"
    )
    terminal.note(f"with the key in {agent.key}, from the environment of stitcherd (env)")
    if found.mounts:
        terminal.note(f"it sees, read-only: {plain(', '.join(found.mounts))} (mounts)")


def _unit() -> str:
    program = shutil.which("stitcherd") or "stitcherd"
    return shipped_file(UNIT).read_text("utf-8").replace("ExecStart=stitcherd\n", f"ExecStart={program}\n")


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
