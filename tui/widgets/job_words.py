"""A job in the words around its steps: what it is, what it runs as, and its pages."""

from msgspec import UNSET

from shared import ids
from shared.models import OPEN, RunnerJob
from tui.plain import plain
from tui.times import duration, milliseconds
from tui.widgets.bar import Word
from tui.widgets.job_row import tokens
from tui.wording import cost, look, place

PAGES = ("Log", "Events", "Diff", "Why", "Prompt", "Raw", "Result")


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
        *([f"{cost(job)}, {tokens(job)} tokens"] if job.usage.input_tokens or job.usage.cost_usd else []),
        f"rails {plain(job.rails_revision)}",
    ]
    if job.status in OPEN and job.queued_at and job.started_at:
        said.append(f"waited {duration(milliseconds(job.started_at) - milliseconds(job.queued_at))}")
    return " · ".join(said)


def page_words(job: RunnerJob, page: int) -> list[Word]:
    """Return the names of the pages; the one that is shown stands out."""
    made = None if job.result is UNSET else job.result
    change = f"+{made.additions} -{made.deletions} " if made and made.commit else ""
    words: list[Word] = [(" ", "", "")]
    for at, title in enumerate(PAGES, 1):
        here, action = at == page, f"screen.press('{at}')"
        words.append((f" {at} ", "accent" if here else "dim", action))
        words.append((f"{title} {change if title == 'Diff' else ''}", "bold" if here else "", action))
    return words


def why_it_is_so(job: RunnerJob) -> list[Word]:
    """Return why a job failed, or what keeps it from starting; nothing where there is nothing to say."""
    if job.error:
        hint = f"  {plain(job.error.hint)}" if job.error.hint else ""
        return [(f" {plain(job.error.detail)}", "red", ""), (hint, "dim", "")]
    if job.held and job.status in OPEN:
        return [(f" {plain(job.held)}", "yellow", "")]
    return []
