"""What may stand before a verb, after it, and after an action of a verb."""

from argparse import SUPPRESS, ArgumentParser
from typing import Any


def global_options(parser: ArgumentParser, unless_given: str | None) -> None:
    """Add what may stand everywhere; behind a verb, SUPPRESS keeps what stood before it."""
    group = parser.add_argument_group("everywhere")
    group.add_argument("--socket", metavar="PATH", default=unless_given, help="the daemon's socket")
    group.add_argument("--config", metavar="DIR", default=unless_given, help="the configuration directory")
    group.add_argument("--json", action="store_true", default=unless_given or False, help="print JSON documents")


def add_actions(parser: ArgumentParser, actions: dict[str, str], *, required: bool) -> dict[str, ArgumentParser]:
    """Add the actions of a verb, each with what it does, and return their parsers by name."""
    added = parser.add_subparsers(
        title="actions", dest="action", metavar="|".join(actions), required=required, parser_class=Action
    )
    return {
        name: added.add_parser(name, help=does, description=f"{does[0].upper()}{does[1:]}.")
        for name, does in actions.items()
    }


class Action(ArgumentParser):
    """The parser of one action of a verb, such as `deliveries show`."""

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        global_options(self, SUPPRESS)
