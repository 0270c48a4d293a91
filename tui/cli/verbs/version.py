"""`stitcher version`: who speaks here, and who answers."""

from argparse import ArgumentParser, Namespace

import msgspec

from shared import VERSION
from shared.house import Meta
from tui import exits
from tui.client import Refused, Unreachable, decode, reach
from tui.plain import plain
from tui.terminal import Terminal


def arguments(parser: ArgumentParser) -> None:
    """Add nothing."""


def run(options: Namespace, terminal: Terminal) -> int:
    """Print the version of the client and, where one answers, of the daemon."""
    try:
        document = reach(options).get("/meta")
    except (Unreachable, Refused) as silence:
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
