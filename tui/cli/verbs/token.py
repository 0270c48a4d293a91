"""`stitcher token new`: creates a bearer token for the API over TCP, and prints its entry or appends it."""

import hashlib
import re
import secrets
from argparse import ArgumentParser, Namespace

import msgspec

from shared.locations import config_dir
from tui.cli import exits
from tui.cli.parser import add_actions
from tui.cli.setup.token_entry import CannotAppend, append_entry, entry_text
from tui.cli.terminal import Terminal
from tui.text.plain import plain

PERMISSIONS = (
    *("jobs:read", "jobs:write", "jobs:dispatch", "jobs:approve"),
    *("deliveries:read", "rails:read", "metrics:read"),
)
_WORD = re.compile(r"[^\s\x00-\x1f\x7f]+")


def arguments(parser: ArgumentParser) -> None:
    """Add the name, workspace and permissions of the token."""
    new = add_actions(parser, {"new": "create a token; it is shown once and not stored"}, required=True)["new"]
    new.add_argument("name", metavar="NAME", help="who will use it, as shown in events")
    new.add_argument(
        "--workspace", metavar="W", default="default", help="the only workspace it gives access to (default)"
    )
    new.add_argument(
        "--permission",
        metavar="PERMISSION",
        action="append",
        choices=PERMISSIONS,
        help=f"one of {', '.join(PERMISSIONS)}; may repeat (jobs:read)",
    )
    new.add_argument("--write", action="store_true", help="append its entry to stitcherd.toml; without it, print that")


def run(options: Namespace, terminal: Terminal) -> int:
    """Print a new token; the daemon is not involved, and knows the token after its next start."""
    for word in (options.name, options.workspace):
        if not _WORD.fullmatch(word):
            terminal.note(f"stitcher: {plain(word)!r} is not one word")
            return exits.USAGE
    token = f"stk_{secrets.token_urlsafe(32)}"
    entry = {
        "name": options.name,
        "sha256": hashlib.sha256(token.encode()).hexdigest(),
        "workspace": options.workspace,
        "permissions": options.permission or ["jobs:read"],
    }
    written = None
    if options.write:
        try:
            written = append_entry(config_dir(options.config), entry)
        except CannotAppend as error:
            terminal.note(f"stitcher: {plain(str(error))}")
            return exits.USAGE
    if options.json:
        terminal.document(msgspec.json.encode({"token": token, **entry, "written": written and str(written)}))
        return exits.OK
    terminal.data(token)
    if written is None:
        terminal.note("it is not stored; add these lines to stitcherd.toml (or use --write) and restart the daemon:\n")
    else:
        terminal.note(
            f"it is not stored; restart the daemon, which then knows it by these lines, now in {plain(str(written))}:\n"
        )
    terminal.note(entry_text(entry))
    return exits.OK
