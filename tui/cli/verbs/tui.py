"""`stitcher tui`: the full-screen interface."""

from argparse import ArgumentParser, Namespace

from shared.locations import config_dir
from tui.cli import exits
from tui.cli.parser import daemon_client
from tui.cli.terminal import Terminal
from tui.cli.verbs import VERBS
from tui.client.feed import FeedReader


def arguments(parser: ArgumentParser) -> None:
    """Add the job to open first."""
    parser.add_argument("job", metavar="JOB", nargs="?", help="open this job: its id, or its last characters")


def run(options: Namespace, terminal: Terminal) -> int:
    """Run the interface until the user quits; without a terminal that is an error of usage."""
    if not terminal.full_screen:
        terminal.note("stitcher: the full-screen interface needs a terminal; without one: stitcher ls")
        return exits.USAGE
    client = daemon_client(options)
    feed = FeedReader(client)
    feed.start()  # the daemon answers while the screens are imported
    from tui.app.app import StitcherApp  # noqa: PLC0415 (0.3 s that no other verb waits for)

    app = StitcherApp(client, feed, config=config_dir(options.config), job=options.job, verbs=VERBS)
    app.run()
    return app.return_code or exits.OK
