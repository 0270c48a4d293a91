"""Links to threads and changes at a forge: which URLs are followed, and how a terminal is told of them."""

import re
from urllib.parse import urlsplit

from shared.models import RunnerJob

URL_MAX = 2000  # characters

_URL = re.compile(r"https?://[!-~]+", re.IGNORECASE)


def web_url(url: str | None) -> str | None:
    """Return a URL if it is one of http or https, of printable ASCII, without a user's name; else None.

    It came from outside, and goes to a browser or a terminal.
    """
    if url is None or len(url) > URL_MAX or not _URL.fullmatch(url):
        return None
    try:
        place = urlsplit(url)
    except ValueError:
        return None
    return url if place.hostname and "@" not in place.netloc else None


def thread_url(job: RunnerJob) -> str | None:
    """Return the URL of the issue or change that a job is about."""
    return web_url(job.thread.url) if job.thread else None


def change_url(job: RunnerJob) -> str | None:
    """Return the URL of the change that was opened for a job."""
    return web_url(job.change.url) if job.change else None


def opened_change(job: RunnerJob) -> str:
    """Return the number of the change that was opened for a job, and its URL; empty if there is none."""
    return " ".join(filter(None, (f"#{job.change.number}", change_url(job)))) if job.change else ""


def hyperlink(text: str, url: str) -> str:
    """Return `text` as a link of a terminal (OSC 8) to a URL that `web_url` returned."""
    return f"\x1b]8;;{url}\x1b\\{text}\x1b]8;;\x1b\\"
