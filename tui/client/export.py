"""Passes texts on to $PAGER and to new files."""

import os
import shlex
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from itertools import count
from pathlib import Path


def show_in_pager(lines: Iterable[str]) -> None:
    """Show lines of plain text in $PAGER until the user leaves it; raises OSError, and what `lines` raises."""
    pager = shlex.split(os.environ.get("PAGER") or "less")
    with suppress(BrokenPipeError), subprocess.Popen(pager, stdin=subprocess.PIPE) as process:
        assert process.stdin  # noqa: S101 (it is a pipe)
        for line in lines:
            process.stdin.write(f"{line}\n".encode())


def save_new_file(path: Path, chunks: Iterable[bytes]) -> tuple[Path, int]:
    """Write a new file and return its path and size; a number is added to the name of a file that exists already.

    Raises OSError, and what `chunks` raises.
    """
    names = (path if number == 1 else path.with_stem(f"{path.stem}-{number}") for number in count(1))
    free = next(name for name in names if not name.exists())
    with free.open("xb") as file:
        file.writelines(chunks)
        return free, file.tell()
