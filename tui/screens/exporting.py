"""The jobs of a list, taken out of the screen as lines of JSON."""

from collections.abc import Iterable
from pathlib import Path

import msgspec

from tui.client import Daemon, decode

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
