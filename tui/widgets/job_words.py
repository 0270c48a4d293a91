"""A job in the words around its steps: what it is, what it runs as, and its pages."""

from msgspec import UNSET

from shared import ids
from shared.models import OPEN, RunnerJob
from tui.plain import plain
from tui.times import duration, milliseconds
from tui.widgets.bar import Word
from tui.widgets.job_row import tokens
from tui.wording import cost, look, place

PAGES = ("Log", "Events", "Result", "Why", "Prompt", "Raw")


def name(job: RunnerJob) -> list[Word]:
    """Return what a job is."""
    state = look(job)
    title = f' "{plain(job.thread.title)}"' if job.thread and job.thread.title else ""
    return [
        (plain(ids.short(job.id)), "bold", ""),
        (f"  {state.glyph} {state.word}", state.colour, ""),
        (f"  {plain(job.type)} · {place(job.repository, job.thread)}{title}", "", ""),
    ]


def facts(job: RunnerJob) -> str:
    """Return who asked for it, what it runs as, and what it used."""
    said = [
        plain(job.actor),
        f"{plain(job.profile)} → {plain(job.executor)}",
        f"try {job.tries.used} of {job.tries.max}" + (f", attempt {job.attempt}" if job.attempt > 1 else ""),
        f"branch {plain(job.branch)}",
        f"{cost(job)}, {tokens(job)} tokens",
        f"rails {plain(job.rails_revision)}",
    ]
    if job.status in OPEN and job.queued_at and job.started_at:
        said.append(f"waited {duration(milliseconds(job.started_at) - milliseconds(job.queued_at))}")
    return " · ".join(said)


def page_words(job: RunnerJob, page: int) -> list[Word]:
    """Return the names of the pages; the one that is shown stands out."""
    made = None if job.result is UNSET else job.result
    change = f" +{made.additions} -{made.deletions}" if made and made.commit else ""
    words: list[Word] = [(" ", "", "")]
    for at, title in enumerate(PAGES, 1):
        here, action = at == page, f"screen.page({at})"
        words.append((f" {at} ", "accent" if here else "dim", action))
        words.append((f"{title}{change if title == 'Result' else ''} ", "bold" if here else "", action))
    return words
