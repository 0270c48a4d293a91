"""From argv to options: the parser of the program, and one a verb, which learns its arguments when it is chosen."""

import re
from argparse import SUPPRESS, ArgumentParser, Namespace
from importlib import import_module
from types import ModuleType
from typing import Any

from shared import VERSION, locations
from tui.cli.verbs import VERBS
from tui.client.http import DaemonClient
from tui.text.plain import plain

# merged from tui.options: What may stand before a verb, after it, and after an action of a verb.


def daemon_client(options: Namespace) -> DaemonClient:
    """Return the daemon that `--socket` and `--config` mean; raises locations.PathTooLong."""
    return DaemonClient(locations.socket_path(options.socket, locations.config_dir(options.config)))


def add_global_options(parser: ArgumentParser, unless_given: str | None) -> None:
    """Add what may stand everywhere; behind a verb, SUPPRESS keeps what stood before it."""
    group = parser.add_argument_group("everywhere")
    group.add_argument("--socket", metavar="PATH", default=unless_given, help="the daemon's socket")
    group.add_argument("--config", metavar="DIR", default=unless_given, help="the configuration directory")
    group.add_argument("--json", action="store_true", default=unless_given or False, help="print JSON documents")


def add_actions(parser: ArgumentParser, actions: dict[str, str], *, required: bool) -> dict[str, ArgumentParser]:
    """Add the actions of a verb, each with what it does, and return their parsers by name."""
    added = parser.add_subparsers(
        title="actions", dest="action", metavar="|".join(actions), required=required, parser_class=ActionParser
    )
    return {
        name: added.add_parser(name, help=does, description=f"{does[0].upper()}{does[1:]}.")
        for name, does in actions.items()
    }


class ActionParser(ArgumentParser):
    """The parser of one action of a verb, such as `deliveries show`."""

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        add_global_options(self, SUPPRESS)


_EPILOG = (
    "Without a verb: tui on a terminal, otherwise ls. Exit codes: 0 ok, 1 failed, 2 usage or configuration, "
    "3 daemon not reachable, 4 refused, 5 not found, 6 partly, 124 timed out, 130 interrupted."
)
_NEGATED_TERM = re.compile(r"-[A-Za-z][\w-]*:")  # a word of a filter, -gate:lint


class VerbParser(ArgumentParser):
    """The parser of one verb; only that verb's module is imported."""

    def learn(self) -> None:
        """Add the verb's own arguments, once."""
        add_global_options(self, SUPPRESS)
        verb_module(self.prog.split()[-1]).arguments(self)

    def parse_known_args(self, *args: Any, **keywords: Any) -> Any:
        """Learn, then parse; words may also stand between options. Whatever is left is an error of this verb's line."""
        self.learn()
        options, left = super().parse_known_args(*args, **keywords)
        for action in self._actions:
            if action.nargs == "*" and not action.option_strings:
                words, left = _split_leftovers(left)  # argparse gives it only words that stand side by side
                setattr(options, action.dest, [*getattr(options, action.dest), *words])
        if left:
            self.error(f"unrecognized arguments: {' '.join(map(plain, left))}")
        return options, left

    def _parse_optional(self, arg_string: str) -> Any:
        return None if _NEGATED_TERM.match(arg_string) else super()._parse_optional(arg_string)


def _split_leftovers(left: list[str]) -> tuple[list[str], list[str]]:
    """Return the words, and what looks like options, of what was left over; behind -- nothing does."""
    at = left.index("--") if "--" in left else len(left)
    options = [word for word in left[:at] if word.startswith("-") and not _NEGATED_TERM.match(word)]
    return [word for word in left[:at] if word not in options] + left[at + 1 :], options


def build_parser() -> ArgumentParser:
    """Return the parser of the whole line."""
    parser = ArgumentParser("stitcher", description="See and steer the jobs of stitcherd.", epilog=_EPILOG)
    parser.add_argument("--version", action="version", version=f"stitcher {VERSION}")
    add_global_options(parser, None)
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", title="verbs", parser_class=VerbParser)
    for verb, does in VERBS.items():
        verbs.add_parser(verb, help=does, description=f"{does[0].upper()}{does[1:]}.")
    return parser


def parse_args(argv: list[str], bare: str) -> Namespace:
    """Return the options of a line, of the verb `bare` where it names none; raises SystemExit where argparse does."""
    parser = build_parser()
    options = parser.parse_args(argv)
    return options if options.verb else parser.parse_args([*argv, "ls" if options.json else bare])


def verb_module(verb: str) -> ModuleType:
    """Return the module of a verb."""
    return import_module(f"tui.cli.verbs.{verb}")
