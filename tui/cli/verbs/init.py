"""`stitcher init`: writes a configuration to start from."""

import shutil
from argparse import ArgumentParser, Namespace
from pathlib import Path

import msgspec

from shared.locations import RAILS_FILE, SETTINGS_FILE, config_dir, shipped_file
from tui.cli import exits
from tui.cli.terminal import Terminal
from tui.text.plain import plain

UNIT = "stitcherd.service"


def arguments(parser: ArgumentParser) -> None:
    """Add --systemd."""
    parser.add_argument("--systemd", action="store_true", help="also write a systemd user unit")


def run(options: Namespace, terminal: Terminal) -> int:
    """Write the files that do not exist yet, and print the next steps; existing files are not changed."""
    directory = config_dir(options.config)
    files = {directory / name: shipped_file(name).read_text("utf-8") for name in (SETTINGS_FILE, RAILS_FILE)}
    if options.systemd:
        files[config_dir(None).parent / "systemd" / "user" / UNIT] = _unit()
    try:
        written = [path for path, text in files.items() if _write_new(path, text)]
    except OSError as error:
        terminal.note(f"stitcher: {plain(str(error.filename))} cannot be written: {error.strerror}")
        return exits.USAGE
    if options.json:
        terminal.document(msgspec.json.encode({"written": [str(path) for path in written]}))
        return exits.OK
    for path in files:
        terminal.data(f"{'wrote ' if path in written else 'kept  '} {plain(str(path))}")
    terminal.note("next: enter your sources, repositories and agent in stitcherd.toml, and yourself in rails.yaml;")
    terminal.note("then run `stitcherd --check`, and `stitcherd`")
    return exits.OK


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
