"""The argument parsers of `stitcher`: one for the program and one per verb, whose arguments are added on demand."""

import re
from argparse import SUPPRESS, Action, ArgumentError, ArgumentParser, Namespace
from importlib import import_module
from types import ModuleType
from typing import Any

from shared import VERSION, locations
from tui.cli.verbs import VERBS
from tui.client.http import DaemonClient
from tui.text.plain import plain

ID_HELP = "its id, or the last 6 or more characters of it"

_EPILOG = (
    "Without a verb: tui on a terminal, otherwise ls. Exit codes: 0 ok, 1 failed, 2 usage or configuration, "
    "3 daemon not reachable, 4 refused, 5 not found, 6 partly, 124 timed out, 130 interrupted."
)
_NEGATED_TERM = re.compile(r"-[A-Za-z][\w-]*:")  # a term of a filter that looks like an option: -gate:lint


class NoDirectory(ValueError):
    """The configuration directory of the command line does not exist."""


def parse_args(argv: list[str], default_verb: str) -> Namespace:
    """Return the parsed options, of `default_verb` if the line has none; raises SystemExit like argparse."""
    parser = build_parser()
    options = parser.parse_args(argv)
    return options if options.verb else parser.parse_args([*argv, "ls" if options.json else default_verb])


def build_parser() -> ArgumentParser:
    """Return the parser of the whole command line."""
    parser = CommandParser("stitcher", description="See and control the jobs of stitcherd.", epilog=_EPILOG)
    parser.add_argument("--version", action="version", version=f"stitcher {VERSION}")
    add_global_options(parser, None)
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", title="verbs", parser_class=VerbParser)
    for verb, summary in VERBS.items():
        verbs.add_parser(verb, help=summary, description=_sentence(summary))
    return parser


def verb_module(verb: str) -> ModuleType:
    """Import and return the module of a verb."""
    return import_module(f"tui.cli.verbs.{verb}")


def daemon_client(options: Namespace) -> DaemonClient:
    """Return a client of the daemon that `--socket` and `--config` select; raises NoDirectory, SocketPathTooLong."""
    config = locations.config_dir(options.config)
    if options.config and not config.is_dir():
        raise NoDirectory(f"--config {plain(options.config)}: there is no directory {plain(str(config))}")
    return DaemonClient(locations.socket_path(options.socket, config), state_dir=locations.state_dir(config))


def add_actions(parser: ArgumentParser, actions: dict[str, str], *, required: bool) -> dict[str, ArgumentParser]:
    """Add the actions of a verb, given with their summaries, and return their parsers by name."""
    subparsers = parser.add_subparsers(
        title="actions", dest="action", metavar="|".join(actions), required=required, parser_class=ActionParser
    )
    return {
        name: subparsers.add_parser(name, help=summary, description=_sentence(summary))
        for name, summary in actions.items()
    }


def add_global_options(parser: ArgumentParser, default: str | None) -> None:
    """Add the options that every parser accepts; for a verb, the default SUPPRESS keeps values given before it."""
    group = parser.add_argument_group("global options")
    group.add_argument("--socket", metavar="PATH", default=default, help="the daemon's socket")
    group.add_argument("--config", metavar="DIR", default=default, help="the configuration directory")
    group.add_argument("--json", action="store_true", default=default or False, help="print JSON documents")


class CommandParser(ArgumentParser):
    """A parser that names the closest choice for a mistyped verb or action."""

    def _check_value(self, action: Action, value: Any) -> None:
        """Override a private method of argparse, which would only list all choices."""
        if action.choices is not None and value not in action.choices:
            from shared.suggest import did_you_mean  # noqa: PLC0415 (needed by few)

            near = did_you_mean(value, action.choices)
            raise ArgumentError(action, f"unknown {value!r}{near}; choose from {', '.join(action.choices)}")


class VerbParser(CommandParser):
    """The parser of one verb; the verb's module is imported when the verb is used."""

    def load_arguments(self) -> None:
        """Import the verb's module and add its arguments."""
        add_global_options(self, SUPPRESS)
        verb_module(self.prog.split()[-1]).arguments(self)

    def parse_known_args(self, *args: Any, **keywords: Any) -> Any:
        """Parse the verb's arguments; repeated words may stand between options, unlike in plain argparse.

        Unrecognized arguments are an error here, so that the usage shown is that of the verb.
        """
        self.load_arguments()
        options, left = super().parse_known_args(*args, **keywords)
        for action in self._actions:
            if action.nargs == "*" and not action.option_strings:
                words, left = _split_leftovers(left)
                setattr(options, action.dest, [*getattr(options, action.dest), *words])
        if left:
            self.error(f"unrecognized arguments: {' '.join(map(plain, left))}")
        return options, left

    def _parse_optional(self, arg_string: str) -> Any:
        """Override a private method of argparse: treat `-gate:lint` as a word, not as an option."""
        return None if _NEGATED_TERM.match(arg_string) else super()._parse_optional(arg_string)


class ActionParser(ArgumentParser):
    """The parser of one action of a verb, such as `deliveries show`."""

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        add_global_options(self, SUPPRESS)


def _split_leftovers(left: list[str]) -> tuple[list[str], list[str]]:
    """Split unparsed arguments into words and those that look like options; after `--`, all are words."""
    end = left.index("--") if "--" in left else len(left)
    options = [word for word in left[:end] if word.startswith("-") and not _NEGATED_TERM.match(word)]
    return [word for word in left[:end] if word not in options] + left[end + 1 :], options


def _sentence(summary: str) -> str:
    return f"{summary[0].upper()}{summary[1:]}."
