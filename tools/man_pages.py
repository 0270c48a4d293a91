"""Write the man pages of both programs from their parsers: python -m tools.man_pages [DIRECTORY]."""

import re
import sys
from argparse import SUPPRESS, Action, ArgumentParser, _SubParsersAction
from collections.abc import Iterator
from pathlib import Path

from shared import VERSION
from stitcherd.__main__ import build_parser as daemon_parser
from tui.cli import parser as client
from tui.cli.parser import VerbParser

DIRECTORY = Path(__file__).parents[1] / "docs" / "man"

_FILES = """\
.SH FILES
.TP
.I ~/.config/stitcher/stitcherd.toml
The daemon's settings. The directory is that of \\-\\-config, else of $STITCHER_CONFIG_DIR.
.TP
.I ~/.config/stitcher/rails.yaml
The policy: who may start which jobs, and what their commits must pass.
.TP
.I ~/.config/stitcher/environment
Variables of the daemon, one NAME=VALUE a line: the secrets that stitcherd.toml names.
.TP
.I $XDG_RUNTIME_DIR/stitcher/stitcherd.sock
The socket between both programs, unless \\-\\-socket, $STITCHER_SOCKET or daemon.socket says otherwise.
"""


def client_page() -> str:
    """Return stitcher(1): the global options, and a section for each verb."""
    parser = client.build_parser()
    options = [action for action in parser._actions if not isinstance(action, _SubParsersAction)]
    lines = [*_head(parser, "stitcherd"), *_options("OPTIONS", parser, options), ".SH VERBS"]
    shared = {word for action in options for word in action.option_strings}
    for name, verb in _subparsers(parser):
        if isinstance(verb, VerbParser):
            verb.load_arguments()
        lines += _verb(f"stitcher {name}", verb, shared)
    about, _, codes = (parser.epilog or "").partition(" Exit codes: ")
    lines += [_text(about), ".SH EXIT STATUS", _text(codes[:1].upper() + codes[1:])]
    return "\n".join(lines) + "\n" + _FILES + _see_also("stitcherd")


def daemon_page() -> str:
    """Return stitcherd(1)."""
    parser = daemon_parser()
    options = [action for action in parser._actions if not isinstance(action, _SubParsersAction)]
    lines = [*_head(parser, "stitcher"), *_options("OPTIONS", parser, options), ".SH COMMANDS"]
    shared = {word for action in options for word in action.option_strings}
    for name, command in _subparsers(parser):
        lines += _verb(f"stitcherd {name}", command, shared)
    codes = "0 after a clean stop, 1 if it could not run, 2 for settings or rails that are not valid."
    signals = (
        "SIGTERM and SIGINT let running jobs continue for daemon.grace, and end what is left; a second one ends them "
        "at once. SIGHUP reloads rails.yaml, which is also done whenever it is saved; a worker has none to reload."
    )
    lines += [".SH SIGNALS", _text(signals), ".SH EXIT STATUS", _text(codes)]
    return "\n".join(lines) + "\n" + _FILES + _see_also("stitcher")


PAGES = {"stitcher.1": client_page, "stitcherd.1": daemon_page}


def _head(parser: ArgumentParser, other: str) -> list[str]:
    summary = (parser.description or "").rstrip(".")
    return [
        f'.\\" Written by tools/man_pages.py from the parsers of {parser.prog} and {other}.',
        f'.TH {parser.prog.upper()} 1 "" "Stitcher {VERSION}" "User Commands"',
        ".SH NAME",
        f"{parser.prog} \\- {_text(summary[:1].lower() + summary[1:])}",
        ".SH SYNOPSIS",
        *_synopsis(parser),
        ".SH DESCRIPTION",
        _text(parser.description or ""),
    ]


def _verb(title: str, parser: ArgumentParser, shared: set[str]) -> Iterator[str]:
    """Yield the section of a verb, and those of its actions, without the options that all verbs have."""
    yield f'.SS "{_text(title)}"'
    yield from _synopsis(parser)
    yield ".PP"
    yield _text(parser.description or "")
    for action in parser._actions:
        if not isinstance(action, _SubParsersAction) and shared.isdisjoint(action.option_strings):
            yield from _option(parser, action)
    if parser.epilog:
        yield ".PP"
        yield _text(parser.epilog)
    for name, action_parser in _subparsers(parser):
        yield from _verb(f"{title} {name}", action_parser, shared)


def _options(title: str, parser: ArgumentParser, actions: list[Action]) -> Iterator[str]:
    yield f".SH {title}"
    for action in actions:
        yield from _option(parser, action)


def _option(parser: ArgumentParser, action: Action) -> Iterator[str]:
    """Yield an option or an argument with its help; nothing for a hidden one."""
    if action.help is SUPPRESS:
        return
    formatter = parser._get_formatter()
    yield ".TP"
    yield f".B {_text(formatter._format_action_invocation(action))}"
    yield _text(formatter._expand_help(action)) if action.help else "."


def _synopsis(parser: ArgumentParser) -> list[str]:
    usage = " ".join(parser.format_usage().removeprefix("usage:").split())
    return [".nh", f".B {_text(parser.prog)}", _text(usage.removeprefix(parser.prog).strip()), ".hy"]


def _subparsers(parser: ArgumentParser) -> Iterator[tuple[str, ArgumentParser]]:
    for action in parser._actions:
        if isinstance(action, _SubParsersAction):
            yield from action.choices.items()


def _see_also(other: str) -> str:
    return f".SH SEE ALSO\n.BR {other} (1)\n"


def _text(text: str) -> str:
    """Return a text as roff: on one line, nothing in it is a request, and a - can be copied as one."""
    escaped = re.sub(r"\s+", " ", text.strip()).replace("\\", "\\e").replace("-", "\\-")
    escaped = re.sub(r"[^ -~]", lambda found: f"\\[u{ord(found[0]):04X}]", escaped)
    return f"\\&{escaped}" if escaped[:1] in {".", "'"} else escaped


def main() -> None:
    """Write both pages."""
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else DIRECTORY
    directory.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (directory / name).write_text(page(), "utf-8")


if __name__ == "__main__":
    main()
