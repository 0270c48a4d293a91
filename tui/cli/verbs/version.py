"""`stitcher version`: prints the versions of the client and of the daemon."""

from argparse import ArgumentParser, Namespace

import msgspec

from shared import VERSION
from tui.cli import exits
from tui.cli.parser import daemon_client
from tui.cli.terminal import Terminal
from tui.client import api
from tui.client.http import ApiError, DaemonUnreachable
from tui.text.plain import plain


def arguments(parser: ArgumentParser) -> None:
    """Add nothing."""


def run(options: Namespace, terminal: Terminal) -> int:
    """Print the version of the client and, if the daemon is reachable, of the daemon."""
    try:
        reply = api.get_meta(daemon_client(options))
    except (DaemonUnreachable, ApiError) as error:
        terminal.note(f"stitcher: {error}")
        reply = None
    if options.json:
        daemon = msgspec.Raw(reply.raw) if reply else None
        terminal.document(msgspec.json.encode({"client": VERSION, "daemon": daemon}))
        return exits.OK
    terminal.data(f"stitcher {VERSION}")
    if reply:
        meta = reply.value
        since = f"pid {meta.pid}, since {plain(meta.started_at)}"
        terminal.data(f"stitcherd {plain(meta.version)} (API {plain(meta.api)}, {since})")
    return exits.OK
