"""From argv to a verb to an exit code; only the module of the chosen verb is imported."""

import os
import sys
from argparse import SUPPRESS, ArgumentParser, Namespace
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType
from typing import Any

from shared import VERSION
from shared.locations import PathTooLong
from tui import exits
from tui.client import NotText, Refused, Unintelligible, Unreachable
from tui.options import global_options
from tui.terminal import Terminal
from tui.verbs import VERBS


class _VerbParser(ArgumentParser):
    """The parser of one verb, which learns its arguments when that verb was chosen."""

    def parse_known_args(self, *args: Any, **keywords: Any) -> Any:
        global_options(self, SUPPRESS)
        _module(self.prog.split()[-1]).arguments(self)
        return super().parse_known_args(*args, **keywords)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit code; raises SystemExit where argparse does: usage (2) and help (0)."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a locale without ✓ gets \u2713
    terminal = Terminal(sys.stdin, sys.stdout, sys.stderr, os.environ)
    options = _options(sys.argv[1:] if argv is None else list(argv), "tui" if terminal.full_screen else "ls")
    try:
        return int(_module(options.verb).run(options, terminal))
    except (Refused, Unreachable, Unintelligible, NotText, PathTooLong) as said:
        terminal.note(f"stitcher: {said}")
        return _code(said)
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    except BrokenPipeError:
        # The reader left; without this, Python would complain when it flushes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exits.FAILED


def _code(said: Exception) -> int:
    if isinstance(said, Refused):
        return exits.of_status(said.problem.status)
    if isinstance(said, Unreachable):
        return exits.UNREACHABLE
    return exits.FAILED if isinstance(said, Unintelligible) else exits.USAGE


def _options(argv: list[str], bare: str) -> Namespace:
    epilog = "without a verb: tui on a terminal, otherwise ls"
    parser = ArgumentParser("stitcher", description="See and steer the jobs of stitcherd.", epilog=epilog)
    parser.add_argument("--version", action="version", version=f"stitcher {VERSION}")
    global_options(parser, None)
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", parser_class=_VerbParser)
    for verb, does in VERBS.items():
        verbs.add_parser(verb, help=does, description=f"{does[0].upper()}{does[1:]}.")
    options = parser.parse_args(argv)
    return options if options.verb else parser.parse_args([*argv, "ls" if options.json else bare])


def _module(verb: str) -> ModuleType:
    return import_module(f"tui.verbs.{verb}")


if __name__ == "__main__":
    sys.exit(main())
