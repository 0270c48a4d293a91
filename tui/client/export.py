"""What is taken out of a screen: its text into $PAGER, or into a file of the present directory."""

import os
import shlex
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

from msgspec import Raw, Struct

from tui.client.http import DaemonClient, decode, job_path

CHUNK_BYTES = 256 * 1024  # bytes
EVENT_PAGE = 500  # events of one request


class _Events(Struct):
    items: list[Raw]
    next: int | None


def show_in_pager(lines: Iterable[str]) -> None:
    """Show lines, plain already, in $PAGER until that ends; raises OSError, and what `lines` raises."""
    pager = shlex.split(os.environ.get("PAGER") or "less")
    with suppress(BrokenPipeError), subprocess.Popen(pager, stdin=subprocess.PIPE) as process:
        assert process.stdin  # noqa: S101 (it is a pipe; whoever leaves the pager has seen enough)
        for line in lines:
            process.stdin.write(f"{line}\n".encode())


def save_new_file(path: Path, pieces: Iterable[bytes]) -> tuple[Path, int]:
    """Write a new file and return its path and size; where there is one of that name already, beside it.

    Raises OSError, and what `pieces` raises.
    """
    names = (path if number == 1 else path.with_stem(f"{path.stem}-{number}") for number in count(1))
    free = next(name for name in names if not name.exists())
    with free.open("xb") as file:
        file.writelines(pieces)
        return free, file.tell()


def iter_chunks(daemon: DaemonClient, path: str) -> Iterator[bytes]:
    """Yield a text of the daemon's, of any size, piece by piece; raises Refused, Unreachable."""
    with daemon.open(path, (), 60.0) as response:
        while piece := response.read(CHUNK_BYTES):
            yield piece


def iter_lines(daemon: DaemonClient, path: str, shown: Callable[[bytes], str]) -> Iterator[str]:
    """Yield a text of the daemon's line by line, as it is shown; raises Refused, Unreachable."""
    rest = b""
    for piece in iter_chunks(daemon, path):
        *lines, rest = (rest + piece).split(b"\n")
        yield from map(shown, lines)
    if rest:
        yield shown(rest)


def iter_raw_events(daemon: DaemonClient, job_id: str) -> Iterator[bytes]:
    """Yield all the events of a job, oldest first, each as its JSON; raises Refused, Unreachable, Unintelligible."""
    after: int | None = 0
    while after is not None:
        query = [("after", str(after)), ("limit", str(EVENT_PAGE))]
        page = decode(daemon.get(f"{job_path(job_id)}/events", query), _Events)
        yield from map(bytes, page.items)
        after = page.next
