"""What is taken out of the screens: jobs as lines of JSON, and output in a pager."""

import os
import shlex
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import msgspec

from tui.client import Daemon, decode
from tui.widgets.log_text import CHUNK, shown

MOST = 100_000  # jobs of one export
_PAGE = 500


class _Page(msgspec.Struct):
    items: list[msgspec.Raw]
    next: str | None


def export_jobs(daemon: Daemon, query: Iterable[tuple[str, str]], path: Path) -> int:
    """Write the jobs that a query means to a new file, a line each; returns how many. Raises OSError, Refused."""
    query = list(query)
    before: str | None = None
    written = 0
    with path.open("xb") as file:
        while written < MOST:
            paging = [("limit", str(_PAGE)), *([("before", before)] if before else [])]
            page = decode(daemon.get("/runner-jobs", [*query, *paging]), _Page)
            file.writelines(bytes(item) + b"\n" for item in page.items)
            written += len(page.items)
            before = page.next
            if before is None:
                break
    return written


def page_log(daemon: Daemon, path: str) -> None:
    """Show a log in $PAGER until that ends; made plain, since not every pager does it. Raises OSError, Refused."""
    pager = shlex.split(os.environ.get("PAGER") or "less")
    with subprocess.Popen(pager, stdin=subprocess.PIPE) as process:
        assert process.stdin  # noqa: S101 (it is a pipe)
        try:
            _pour(daemon, path, process.stdin)
            process.stdin.close()
        except BrokenPipeError:
            pass  # whoever leaves the pager has seen enough


def _pour(daemon: Daemon, path: str, out: IO[bytes]) -> None:
    with daemon.open(path, (), 60.0) as response:
        rest = b""
        while data := response.read(CHUNK):
            *lines, rest = (rest + data).split(b"\n")
            out.write("".join(f"{shown(line)}\n" for line in lines).encode())
        out.write(shown(rest).encode())
