"""`stitcher token new`: creates a bearer token for the API over TCP, and prints its entry for stitcherd.toml."""

import hashlib
import secrets
from argparse import ArgumentParser, Namespace

import msgspec

from tui.cli import exits
from tui.cli.parser import add_actions
from tui.cli.terminal import Terminal

PERMISSIONS = (
    *("jobs:read", "jobs:write", "jobs:dispatch", "jobs:approve"),
    *("deliveries:read", "rails:read", "metrics:read"),
)


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


def run(options: Namespace, terminal: Terminal) -> int:
    """Print a new token; the daemon is not involved, and knows the token after its next start."""
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
    terminal.note("it is not stored; add these lines to stitcherd.toml and restart the daemon:\n\n[[tokens]]")
    for key, value in entry.items():
        terminal.note(f"{key} = {msgspec.json.encode(value).decode()}")
    return exits.OK
