"""Takes text out of the interface: into the user's pager, or into a new file."""

import os
import shlex
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from itertools import count
from pathlib import Path


def show_in_pager(lines: Iterable[str]) -> None:
    """Show lines, which must be plain, in $PAGER until it ends; raises OSError, and what `lines` raises."""
    pager = shlex.split(os.environ.get("PAGER") or "less")
    # The pipe breaks if the user quits the pager early.
    with suppress(BrokenPipeError), subprocess.Popen(pager, stdin=subprocess.PIPE) as process:
        assert process.stdin  # noqa: S101 (it is a pipe)
        for line in lines:
            process.stdin.write(f"{line}\n".encode())


def save_new_file(path: Path, chunks: Iterable[bytes]) -> tuple[Path, int]:
    """Write a new file and return its path and size; if the name is taken, a number is added to it.

    Raises OSError, and what `chunks` raises.
    """
    names = (path if number == 1 else path.with_stem(f"{path.stem}-{number}") for number in count(1))
    free = next(name for name in names if not name.exists())
    with free.open("xb") as file:
        file.writelines(chunks)
        return free, file.tell()
