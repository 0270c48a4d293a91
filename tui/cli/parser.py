"""From argv to options: the parser of the program, and one a verb, which learns its arguments when it is chosen."""

import re
from argparse import SUPPRESS, ArgumentParser, Namespace
from importlib import import_module
from types import ModuleType
from typing import Any

from shared import VERSION
from tui.options import global_options
from tui.plain import plain
from tui.verbs import VERBS

_EPILOG = (
    "Without a verb: tui on a terminal, otherwise ls. Exit codes: 0 ok, 1 failed, 2 usage or configuration, "
    "3 daemon not reachable, 4 refused, 5 not found, 6 partly, 124 timed out, 130 interrupted."
)
_TAKEN_AWAY = re.compile(r"-[A-Za-z][\w-]*:")  # a word of a filter, -gate:lint


class VerbParser(ArgumentParser):
    """The parser of one verb; only that verb's module is imported."""

    def learn(self) -> None:
        """Add the verb's own arguments, once."""
        global_options(self, SUPPRESS)
        module(self.prog.split()[-1]).arguments(self)

    def parse_known_args(self, *args: Any, **keywords: Any) -> Any:
        """Learn, then parse; words may also stand between options. Whatever is left is an error of this verb's line."""
        self.learn()
        options, left = super().parse_known_args(*args, **keywords)
        for action in self._actions:
            if action.nargs == "*" and not action.option_strings:
                words, left = _divided(left)  # argparse gives it only words that stand side by side
                setattr(options, action.dest, [*getattr(options, action.dest), *words])
        if left:
            self.error(f"unrecognized arguments: {' '.join(map(plain, left))}")
        return options, left

    def _parse_optional(self, arg_string: str) -> Any:
        return None if _TAKEN_AWAY.match(arg_string) else super()._parse_optional(arg_string)


def _divided(left: list[str]) -> tuple[list[str], list[str]]:
    """Return the words, and what looks like options, of what was left over; behind -- nothing does."""
    at = left.index("--") if "--" in left else len(left)
    options = [word for word in left[:at] if word.startswith("-") and not _TAKEN_AWAY.match(word)]
    return [word for word in left[:at] if word not in options] + left[at + 1 :], options


def root() -> ArgumentParser:
    """Return the parser of the whole line."""
    parser = ArgumentParser("stitcher", description="See and steer the jobs of stitcherd.", epilog=_EPILOG)
    parser.add_argument("--version", action="version", version=f"stitcher {VERSION}")
    global_options(parser, None)
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", title="verbs", parser_class=VerbParser)
    for verb, does in VERBS.items():
        verbs.add_parser(verb, help=does, description=f"{does[0].upper()}{does[1:]}.")
    return parser


def parse(argv: list[str], bare: str) -> Namespace:
    """Return the options of a line, of the verb `bare` where it names none; raises SystemExit where argparse does."""
    parser = root()
    options = parser.parse_args(argv)
    return options if options.verb else parser.parse_args([*argv, "ls" if options.json else bare])


def module(verb: str) -> ModuleType:
    """Return the module of a verb."""
    return import_module(f"tui.verbs.{verb}")
