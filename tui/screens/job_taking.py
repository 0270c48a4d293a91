"""What can be taken out of a job's screen: the page that is read, as plain lines, as a file, or for the clipboard."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from shared import ids
from shared.models import JobEvent
from tui import diffs, happenings, taking
from tui.client import Daemon, decode
from tui.plain import plain
from tui.screens.job_body import DIFF, EVENTS, LOG, RAW, JobBody
from tui.widgets import log_text
from tui.widgets.event_list import EventList
from tui.widgets.job_words import PAGES
from tui.widgets.output import Output


def lines(body: JobBody, daemon: Daemon) -> Iterable[str]:
    """Return the whole page, plain; where the daemon has to be asked, what it raises comes while one reads."""
    if body.page == LOG:
        return taking.lines_of(daemon, body.log_output.path, log_text.shown)
    if body.page == DIFF:
        return taking.lines_of(daemon, body.diff.path, diffs.shown)
    if body.page == EVENTS:
        return map(_line, taking.events_of(daemon, body.job_id))
    return body.text.text


def file(body: JobBody, daemon: Daemon) -> tuple[Path, Iterator[bytes]]:
    """Return a name in the present directory for the page, and what is to be written there."""
    name = f"stitcher-{plain(ids.short(body.job_id))}"
    if body.page == LOG:
        return Path(f"{name}-{body.log_output.name}.log"), taking.pieces_of(daemon, body.log_output.path)
    if body.page == DIFF:
        return Path(f"{name}.diff"), taking.pieces_of(daemon, body.diff.path)
    if body.page == EVENTS:
        return Path(f"{name}-events.jsonl"), (event + b"\n" for event in taking.events_of(daemon, body.job_id))
    if body.page == RAW:
        return Path(f"{name}.json"), iter((body.document, b"\n"))
    return Path(f"{name}-{PAGES[body.page - 1].lower()}.txt"), (f"{line}\n".encode() for line in body.text.text)


def seen(body: JobBody) -> str:
    """Return what is to be copied: the event that is meant, the part of a long text that is seen, or all of a page."""
    page = body.shown
    if isinstance(page, EventList):
        return msgspec.json.encode(page.event).decode() if page.event else ""
    if isinstance(page, Output):
        first, last = page.view.window
        rows = range(first, min(last + 1, page.view.count))
        return "\n".join("".join(text for text, _ in page.view.draw(row, 0)).rstrip() for row in rows)
    return "\n".join(page.text)


def _line(event: bytes) -> str:
    return "".join(text for text, _ in happenings.line(decode(event, JobEvent), with_job=False))
