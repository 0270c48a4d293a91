"""`stitcher version`: who speaks here, and who answers."""

from argparse import ArgumentParser, Namespace

import msgspec

from shared import VERSION
from shared.api import Meta
from tui.cli import exits
from tui.cli.parser import daemon_client
from tui.cli.terminal import Terminal
from tui.client.http import ApiError, DaemonUnreachable, decode
from tui.text.plain import plain


def arguments(parser: ArgumentParser) -> None:
    """Add nothing."""


def run(options: Namespace, terminal: Terminal) -> int:
    """Print the version of the client and, where one answers, of the daemon."""
    try:
        document = daemon_client(options).get("/meta")
    except (DaemonUnreachable, ApiError) as silence:
        terminal.note(f"stitcher: {silence}")
        document = None
    if options.json:
        daemon = msgspec.Raw(document) if document else None
        terminal.document(msgspec.json.encode({"client": VERSION, "daemon": daemon}))
        return exits.OK
    terminal.data(f"stitcher {VERSION}")
    if document:
        meta = decode(document, Meta)
        since = f"pid {meta.pid}, since {plain(meta.started_at)}"
        terminal.data(f"stitcherd {plain(meta.version)} (API {plain(meta.api)}, {since})")
    return exits.OK
