"""`stitcher tui`: everything on the full screen."""

from argparse import ArgumentParser, Namespace

from shared.locations import config_dir
from tui.cli import exits
from tui.cli.parser import daemon_client
from tui.cli.terminal import Terminal
from tui.client.feed import EventFeed


def arguments(parser: ArgumentParser) -> None:
    """Add the job to begin with."""
    parser.add_argument("job", metavar="JOB", nargs="?", help="open this one: its id, or the end of it")


def run(options: Namespace, terminal: Terminal) -> int:
    """Show the screens until the user leaves; without a terminal that is usage."""
    if not terminal.full_screen:
        terminal.note("stitcher: the full screen needs a terminal; without one: stitcher ls")
        return exits.USAGE
    daemon = daemon_client(options)
    feed = EventFeed(daemon)
    feed.start()  # the daemon answers while the screens are imported
    from tui.app.app import StitcherApp  # noqa: PLC0415 (0.3 s that no other verb waits for)

    app = StitcherApp(daemon, feed, config=config_dir(options.config), job=options.job)
    app.run()
    return app.return_code or exits.OK
