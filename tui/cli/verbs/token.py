"""`stitcher token new`: a bearer token for the API over TCP, and the lines that make the daemon know it."""

import hashlib
import secrets
from argparse import ArgumentParser, Namespace

import msgspec

from tui.cli import exits
from tui.cli.parser import add_actions
from tui.cli.terminal import Terminal

PERMISSIONS = ("jobs:read", "jobs:write", "jobs:dispatch", "jobs:approve", "deliveries:read", "rails:read")


def arguments(parser: ArgumentParser) -> None:
    """Add what the token is for."""
    new = add_actions(parser, {"new": "make one; it is shown once and kept nowhere"}, required=True)["new"]
    new.add_argument("name", metavar="NAME", help="who will use it, as events name them")
    new.add_argument("--workspace", metavar="W", default="default", help="the only workspace that it sees (default)")
    new.add_argument(
        "--permission",
        metavar="PERMISSION",
        action="append",
        choices=PERMISSIONS,
        help=f"one of {', '.join(PERMISSIONS)}; may repeat (jobs:read)",
    )


def run(options: Namespace, terminal: Terminal) -> int:
    """Print a new token; the daemon is not asked, and learns of it when it is started again."""
    token = f"stk_{secrets.token_urlsafe(32)}"
    entry = {
        "name": options.name,
        "sha256": hashlib.sha256(token.encode()).hexdigest(),
        "workspace": options.workspace,
        "permissions": options.permission or ["jobs:read"],
    }
    if options.json:
        terminal.document(msgspec.json.encode({"token": token, **entry}))
        return exits.OK
    terminal.data(token)
    terminal.note("it is kept nowhere; put these lines into stitcherd.toml and start the daemon again:\n\n[[tokens]]")
    for key, value in entry.items():
        terminal.note(f"{key} = {msgspec.json.encode(value).decode()}")
    return exits.OK
