"""A job as one line of the list: which columns there are at a width, and what stands in them."""

from functools import lru_cache

from msgspec import UNSET, Struct

from shared import ids
from shared.models import OPEN_STATUSES, RunnerJob, Status
from tui.text.jobs import DASH, cost, elapsed, job_state, location
from tui.text.plain import plain, truncate, width
from tui.text.times import age, duration, milliseconds, time_left
from tui.widgets.bar import BarSegment
from tui.widgets.paint import StyledLine

# merged from tui.widgets.job_words: A job in the words around its steps: what it is, what it runs as, and its
# pages.


class JobColumn(Struct, frozen=True):
    """A column; one of `cells` 0 takes what the others leave, and low `rank` goes first when there is no room."""

    name: str
    cells: int
    rank: int
    right: bool = False


IDLE_COLUMNS = frozenset({"TRY", "TIME", "TOKENS", "COST", "AGE"})  # columns that say little of jobs that never ran
GAP = 2
THREAD_MAX = 34
LAST_MIN = 16
COLUMNS = (
    JobColumn("ID", 8, 9),
    JobColumn("STATE", 12, 9),
    JobColumn("TYPE", 8, 6),
    JobColumn("THREAD", 16, 9),
    JobColumn("LAST", 0, 5),
    JobColumn("TRY", 3, 2, right=True),
    JobColumn("TIME", 6, 8, right=True),
    JobColumn("TOKENS", 6, 1, right=True),
    JobColumn("COST", 7, 0, right=True),
    JobColumn("AGE", 4, 4, right=True),
)


@lru_cache(maxsize=16)
def visible_columns(cells: int, without: frozenset[str] = frozenset()) -> tuple[JobColumn, ...]:
    """Return the columns that fit in `cells`, with their widths: the thread grows first, then what happened last.

    Those in `without` have nothing to say.
    """
    shown = [column for column in COLUMNS if column.name not in without]
    for doomed in sorted(shown, key=lambda column: column.rank):
        if _cells_needed(shown) <= cells:
            break
        if doomed.rank < 9:
            shown.remove(doomed)
    spare = cells - _cells_needed(shown)
    wider = {"THREAD": max(0, min(THREAD_MAX - 16, spare // 2 if _has_last(shown) else spare))}
    wider["LAST"] = max(LAST_MIN + spare - wider["THREAD"], 0) if _has_last(shown) else 0
    return tuple(
        JobColumn(column.name, column.cells + wider.get(column.name, 0), column.rank, column.right) for column in shown
    )


def job_heading(cells: int, without: frozenset[str] = frozenset()) -> StyledLine:
    """Return the line above the rows."""
    names = (" " * GAP).join(_fitted(column, column.name) for column in visible_columns(cells, without))
    return [("  ", ""), (names, "dim")]


def job_line(
    job: RunnerJob, said: str, cells: int, now: int, *, marked: bool, without: frozenset[str] = frozenset()
) -> StyledLine:
    """Return the line of a job, at `now` in milliseconds; `said` is what its last event said."""
    line = [("▌" if marked else "", "accent")]
    for column in visible_columns(cells, without):
        text, style = _cell(column, job, said, now)
        line += [(" " * (GAP - width(line[0][0]) if len(line) == 1 else GAP), ""), (_fitted(column, text), style)]
    return line


def placeholder_line(job_id: str) -> StyledLine:
    """Return the line of a job that was not asked for yet."""
    return [("  ", ""), (f"{plain(ids.short_id(job_id))}  …", "dim")]


def _cell(column: JobColumn, job: RunnerJob, said: str, now: int) -> tuple[str, str]:  # noqa: PLR0911 (a table)
    state = job_state(job)
    quiet = "" if job.status in OPEN_STATUSES else "dim"
    match column.name:
        case "ID":
            return plain(ids.short_id(job.id)), quiet
        case "STATE":
            return f"{state.glyph} {state.word}", state.colour
        case "TYPE":
            return plain(job.type), ""
        case "THREAD":
            return _last_part(location(job.repository, job.thread), column.cells), ""
        case "LAST":
            return job_activity(job, said, now), "red" if job.status is Status.FAILED else "dim"
        case "TRY":
            return f"{job.tries.used}/{job.tries.max}", quiet
        case "TIME":
            return elapsed(job, now), quiet
        case "TOKENS":
            return tokens(job), quiet
        case "COST":
            return cost(job), quiet
        case _:
            return age(now - milliseconds(job.created_at)).removesuffix(" ago"), quiet


def job_activity(job: RunnerJob, said: str, now: int) -> str:
    """Return what there is to say of a job beside its state, at `now` in milliseconds."""
    if job.error:
        return plain(job.error.detail)
    if job.status is Status.PENDING:
        return approval_wait(job, now)
    if job.status is Status.QUEUED and job.held:
        return plain(job.held)
    if job.status is Status.RUNNING:
        return said or plain(job.last_event)
    if job.thread and job.thread.title:
        return plain(job.thread.title)
    return ""


def approval_wait(job: RunnerJob, now: int) -> str:
    """Return how long a job may still be approved, what asks for it, and who may answer."""
    if job.waiting is None:
        return "needs an approval"
    asks = ", ".join(job.waiting.guards)
    return plain(
        f"{time_left(milliseconds(job.waiting.expires_at) - now)} · {asks}, by {', '.join(job.waiting.by) or 'you'}"
    )


def tokens(job: RunnerJob) -> str:
    """Return what a job used, `812` or `20.1k` or `1.3M`, or a dash where nobody said."""
    number = job.usage.input_tokens + job.usage.output_tokens
    if not number:
        return DASH
    for size, unit in ((1_000_000, "M"), (1000, "k")):
        if number >= size:
            return f"{number / size:.1f}{unit}"
    return str(number)


def _cells_needed(shown: list[JobColumn]) -> int:
    return 2 + sum((column.cells or LAST_MIN) + GAP for column in shown) - GAP


def _has_last(shown: list[JobColumn]) -> bool:
    return any(column.name == "LAST" for column in shown)


def _fitted(column: JobColumn, text: str) -> str:
    text = truncate(text, column.cells)
    space = " " * (column.cells - width(text))
    return space + text if column.right else text + space


def _last_part(text: str, cells: int) -> str:
    """Return a text shortened from the left: the end of a thread's name tells it from its neighbours."""
    if width(text) <= cells:
        return text
    kept = text
    while width(kept) > cells - 1:
        kept = kept[1:]
    return f"…{kept}"


PAGE_TITLES = ("Log", "Events", "Diff", "Why", "Prompt", "Raw", "Result")


def job_title(job: RunnerJob) -> list[BarSegment]:
    """Return what a job is."""
    state = job_state(job)
    title = f' "{plain(job.thread.title)}"' if job.thread and job.thread.title else ""
    return [
        (plain(ids.short_id(job.id)), "bold", ""),
        (f"  {state.glyph} {state.word}", state.colour, ""),
        (f"  {plain(job.type)} · {location(job.repository, job.thread)}{title}", "", ""),
    ]


def job_facts(job: RunnerJob) -> str:
    """Return who asked for it, what it runs as, and what it used."""
    said = [
        plain(job.actor),
        f"{plain(job.profile)} → {plain(job.executor)}",
        f"try {job.tries.used} of {job.tries.max}" + (f", attempt {job.attempt}" if job.attempt > 1 else ""),
        f"branch {plain(job.branch)}",
        *([f"{cost(job)}, {tokens(job)} tokens"] if job.usage.input_tokens or job.usage.cost_usd else []),
        f"rails {plain(job.rails_revision)}",
    ]
    if job.status in OPEN_STATUSES and job.queued_at and job.started_at:
        said.append(f"waited {duration(milliseconds(job.started_at) - milliseconds(job.queued_at))}")
    return " · ".join(said)


def page_tabs(job: RunnerJob, page: int) -> list[BarSegment]:
    """Return the names of the pages; the one that is shown stands out."""
    made = None if job.result is UNSET else job.result
    change = f"+{made.additions} -{made.deletions} " if made and made.commit else ""
    words: list[BarSegment] = [(" ", "", "")]
    for at, title in enumerate(PAGE_TITLES, 1):
        here, action = at == page, f"screen.press('{at}')"
        words.append((f" {at} ", "accent" if here else "dim", action))
        words.append((f"{title} {change if title == 'Diff' else ''}", "bold" if here else "", action))
    return words


def status_reason(job: RunnerJob) -> list[BarSegment]:
    """Return why a job failed, or what keeps it from starting; nothing where there is nothing to say."""
    if job.error:
        hint = f"  {plain(job.error.hint)}" if job.error.hint else ""
        return [(f" {plain(job.error.detail)}", "red", ""), (hint, "dim", "")]
    if job.held and job.status in OPEN_STATUSES:
        return [(f" {plain(job.held)}", "yellow", "")]
    return []
