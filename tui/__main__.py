"""Entry point of `stitcher`: parses argv, runs one verb and returns its exit code.

Only the module of the chosen verb is imported.
"""

import os
import sys
from collections.abc import Sequence

from shared.locations import NoHomeDirectory, SocketPathTooLong
from shared.streams import open_missing_streams
from tui.cli import exits
from tui.cli.parser import NoDirectory, parse_args, verb_module
from tui.cli.terminal import OutputFailed, Terminal
from tui.client.http import ApiError, DaemonUnreachable, InvalidResponse, NotUtf8

_USAGE_ERRORS = (NotUtf8, NoDirectory, NoHomeDirectory, SocketPathTooLong)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit code; raises SystemExit like argparse: usage (2) and help (0)."""
    open_missing_streams()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a locale without ✓ gets \u2713
    terminal = Terminal(sys.stdin, sys.stdout, sys.stderr, os.environ)
    options = parse_args(sys.argv[1:] if argv is None else list(argv), "tui" if terminal.full_screen else "ls")
    try:
        return int(verb_module(options.verb).run(options, terminal))
    except (ApiError, DaemonUnreachable, InvalidResponse, *_USAGE_ERRORS) as error:
        terminal.note(f"stitcher: {error}")
        return _exit_code(error)
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    except BrokenPipeError:
        _discard_stdout()
        return exits.FAILED
    except OutputFailed as error:
        _discard_stdout()
        terminal.note(f"stitcher: stdout: {error}")
        return exits.FAILED


def _discard_stdout() -> None:
    """Discard what is left to write: Python would complain when it flushes stdout at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _exit_code(error: Exception) -> int:
    if isinstance(error, ApiError):
        return exits.from_status(error.problem.status)
    if isinstance(error, DaemonUnreachable):
        return exits.UNREACHABLE
    return exits.FAILED if isinstance(error, InvalidResponse) else exits.USAGE


if __name__ == "__main__":
    sys.exit(main())
