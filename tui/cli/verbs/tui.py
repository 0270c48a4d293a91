"""`stitcher tui`: the full-screen interface."""

import os
from argparse import ArgumentParser, Namespace

from shared.locations import config_dir
from tui.cli import exits
from tui.cli.parser import daemon_client
from tui.cli.terminal import Terminal
from tui.cli.verbs import VERBS
from tui.client.feed import FeedReader
from tui.client.preferences import THEME_VARIABLE, load_theme
from tui.text.plain import plain


def arguments(parser: ArgumentParser) -> None:
    """Add the job to open first, and the theme."""
    parser.add_argument("job", metavar="JOB", nargs="?", help="open this job: its id, or its last characters")
    parser.add_argument(
        "--theme", metavar="NAME", help=f"dark, light, or another one of the palette (${THEME_VARIABLE}; it is kept)"
    )


def run(options: Namespace, terminal: Terminal) -> int:
    """Run the interface until the user quits; without a terminal that is an error of usage."""
    if not terminal.full_screen:
        terminal.note("stitcher: the full-screen interface needs a terminal; without one: stitcher ls")
        return exits.USAGE
    client = daemon_client(options)
    feed = FeedReader(client)
    feed.start()  # the daemon answers while the screens are imported
    from tui.app.app import StitcherApp  # noqa: PLC0415 (0.3 s that no other verb waits for)

    config = config_dir(options.config)
    app = StitcherApp(client, feed, config=config, job=options.job, verbs=VERBS)
    wanted = options.theme or os.environ.get(THEME_VARIABLE)
    if wanted and not app.use_theme(wanted):
        feed.stop()
        terminal.note(f"stitcher: there is no theme {plain(wanted)}: take dark, light, or one that the palette offers")
        return exits.USAGE
    if not wanted:
        app.use_theme(load_theme(config))
    app.run()
    return app.return_code or exits.OK
