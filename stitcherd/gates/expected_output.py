"""Checks the output of a gate against the pattern that its rule expects, in a process of its own.

A pattern can take longer than anybody waits, and while it is matched no other thread of the process runs.
"""

import os
import re
import sys
from pathlib import Path

from stitcherd import processes

TAIL_BYTES = 64 * 1024  # of the output, in which the pattern must match
MATCH_TIMEOUT = 5.0  # seconds

_COLOURS = re.compile(rb"\x1b\[[0-9;]*m")
_MATCH = """\
import re, sys
text = sys.stdin.buffer.read().decode("utf-8", "replace").replace("\\r\\n", "\\n")
sys.exit(0 if re.search(sys.argv[1], text, re.MULTILINE) else 1)
"""


class OutputTail:
    """Keeps the end of what is written to it."""

    def __init__(self) -> None:
        self._data = bytearray()

    def write(self, data: bytes) -> None:
        """Append output."""
        self._data += data
        if len(self._data) > 2 * TAIL_BYTES:
            del self._data[:-TAIL_BYTES]

    @property
    def data(self) -> bytes:
        """The end of the output, without the colours of a terminal."""
        return _COLOURS.sub(b"", bytes(self._data[-TAIL_BYTES:]))


async def missing_output(pattern: str, output: bytes) -> str | None:
    """Return why the output is not as the pattern demands, as the end of a sentence; None if it is.

    In the pattern `^` and `$` match at each line.
    """
    argv = [sys.executable, "-I", "-S", "-c", _MATCH, pattern]
    try:
        found = await processes.capture(
            argv, cwd=Path("/"), env={"PATH": os.defpath}, stdin=output, timeout=MATCH_TIMEOUT
        )
    except processes.CannotStart as error:
        return f"its output could not be checked: {error}"
    if found.exit.timed_out:
        return f"its output was not checked within {MATCH_TIMEOUT:g} s against {pattern!r}: write a simpler pattern"
    if found.exit.ok:
        return None
    if found.exit.code == 1:
        return f"its output has nothing like {pattern!r}, which the rails expect"
    return f"its output could not be checked: the check {found.exit}"
