"""Draws one job: as a row of the list, with the columns that fit, and as the header of its own screen."""

from functools import lru_cache

from msgspec import UNSET, Struct
from rich.cells import cell_len

from shared import ids
from shared.models import OPEN_STATUSES, RunnerJob, Status
from tui.text.jobs import approval_wait, cost, elapsed, job_state, latest, location, start_text, token_count
from tui.text.plain import plain
from tui.text.times import duration, milliseconds, span
from tui.widgets.bar import BarSegment
from tui.widgets.paint import StyledLine, crop


class JobColumn(Struct, frozen=True):
    """A column; one with `cells` 0 gets the remaining width, and those of the lowest `rank` are hidden first."""

    name: str
    cells: int
    rank: int
    right: bool = False


IDLE_COLUMNS = frozenset({"TRY", "TIME", "TOKENS", "COST", "AGE"})  # of little use for jobs that have not run yet
GAP = 2
ALWAYS = 9  # the rank of columns that are never hidden
PAGE_TITLES = ("Log", "Events", "Diff", "Why", "Conversation", "Raw", "Result")
THREAD_MAX = 34
LAST_MIN = 16
COLUMNS = (
    JobColumn("ID", 8, ALWAYS),
    JobColumn("STATE", 12, ALWAYS),
    JobColumn("TYPE", 8, 6),
    JobColumn("THREAD", 16, ALWAYS),
    JobColumn("LAST", 0, 5),
    JobColumn("TRY", 3, 2, right=True),
    JobColumn("TIME", 6, 8, right=True),
    JobColumn("TOKENS", 6, 1, right=True),
    JobColumn("COST", 7, 0, right=True),
    JobColumn("AGE", 4, 4, right=True),
)


@lru_cache(maxsize=16)
def visible_columns(cells: int, without: frozenset[str] = frozenset()) -> tuple[JobColumn, ...]:
    """Return the columns that fit in `cells`, with their widths; spare cells go to THREAD first, then to LAST.

    Columns in `without` are left out.
    """
    shown = [column for column in COLUMNS if column.name not in without]
    for column in sorted(shown, key=lambda column: column.rank):
        if _cells_needed(shown) <= cells:
            break
        if column.rank < ALWAYS:
            shown.remove(column)
    spare = cells - _cells_needed(shown)
    wider = {"THREAD": max(0, min(THREAD_MAX - 16, spare // 2 if _has_last(shown) else spare))}
    wider["LAST"] = max(LAST_MIN + spare - wider["THREAD"], 0) if _has_last(shown) else 0
    return tuple(
        JobColumn(column.name, column.cells + wider.get(column.name, 0), column.rank, column.right) for column in shown
    )


def job_heading(cells: int, without: frozenset[str] = frozenset()) -> StyledLine:
    """Return the line with the names of the columns."""
    names = (" " * GAP).join(_fitted(column, column.name) for column in visible_columns(cells, without))
    return [("  ", ""), (names, "dim")]


def job_line(
    job: RunnerJob, activity: str, cells: int, now: int, *, marked: bool, without: frozenset[str] = frozenset()
) -> StyledLine:
    """Return the line of a job, at `now` in milliseconds; `activity` describes its last event."""
    line = [("▌" if marked else "", "accent")]
    for column in visible_columns(cells, without):
        text, style = _cell(column, job, activity, now)
        line += [(" " * (GAP - cell_len(line[0][0]) if len(line) == 1 else GAP), ""), (_fitted(column, text), style)]
    return line


def placeholder_line(job_id: str) -> StyledLine:
    """Return the line of a job that is not loaded yet."""
    return [("  ", ""), (f"{plain(ids.short_id(job_id))}  …", "dim")]


def _cell(column: JobColumn, job: RunnerJob, activity: str, now: int) -> tuple[str, str]:  # noqa: PLR0911 (a table)
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
            return _crop_left(location(job.repository, job.thread), column.cells), ""
        case "LAST":
            return latest(job, now, activity), "red" if job.status is Status.FAILED else "dim"
        case "TRY":
            return f"{job.tries.used}/{job.tries.max}", quiet
        case "TIME":
            return elapsed(job, now), quiet
        case "TOKENS":
            return tokens(job), quiet
        case "COST":
            return cost(job), quiet
        case _:
            return span(now - milliseconds(job.created_at)), quiet


def tokens(job: RunnerJob) -> str:
    """Return the tokens that a job used, or a dash if unknown."""
    return token_count(job.usage.input_tokens + job.usage.output_tokens)


def _cells_needed(shown: list[JobColumn]) -> int:
    return 2 + sum((column.cells or LAST_MIN) + GAP for column in shown) - GAP


def _has_last(shown: list[JobColumn]) -> bool:
    return any(column.name == "LAST" for column in shown)


def _fitted(column: JobColumn, text: str) -> str:
    text = crop(text, column.cells)
    space = " " * (column.cells - cell_len(text))
    return space + text if column.right else text + space


def _crop_left(text: str, cells: int) -> str:
    """Return a text shortened from the left: threads of one repository differ at the end."""
    if cell_len(text) <= cells:
        return text
    kept = text
    while cell_len(kept) > cells - 1:
        kept = kept[1:]
    return f"…{kept}"


def job_title(job: RunnerJob) -> list[BarSegment]:
    """Return id, state, type, thread and title of a job."""
    state = job_state(job)
    title = f' "{plain(job.thread.title)}"' if job.thread and job.thread.title else ""
    return [
        (plain(ids.short_id(job.id)), "bold", ""),
        (f"  {state.glyph} {state.word}", state.colour, ""),
        (f"  {plain(job.type)} · {location(job.repository, job.thread)}{title}", "", ""),
    ]


def job_facts(job: RunnerJob) -> str:
    """Return who dispatched a job, which commit of a change it is on, what it runs as and what it used, in one line."""
    facts = [
        plain(job.actor),
        *([start_text(job)] if job.target else []),  # of a change: early, as the end of the line may be cut off
        f"{plain(job.profile)} → {plain(job.executor)}",
        f"try {job.tries.used} of {job.tries.max}" + (f", attempt {job.attempt}" if job.attempt > 1 else ""),
        f"branch {plain(job.branch)}",
        *([f"{cost(job)}, {tokens(job)} tokens"] if job.usage.input_tokens or job.usage.cost_usd else []),
        f"rails {plain(job.rails_revision)}",
    ]
    if job.status in OPEN_STATUSES and job.queued_at and job.started_at:
        facts.append(f"waited {duration(milliseconds(job.started_at) - milliseconds(job.queued_at))}")
    return " · ".join(facts)


def page_tabs(job: RunnerJob, page: int) -> list[BarSegment]:
    """Return the names of the pages, with page number `page` highlighted."""
    result = None if job.result is UNSET else job.result
    change = f"+{result.additions} -{result.deletions} " if result and result.commit else ""
    tabs: list[BarSegment] = [(" ", "", "")]
    for at, title in enumerate(PAGE_TITLES, 1):
        selected, action = at == page, f"screen.press('{at}')"
        tabs.append((f" {at} ", "accent" if selected else "dim", action))
        tabs.append((f"{title} {change if title == 'Diff' else ''}", "bold" if selected else "", action))
    return tabs


def status_reason(job: RunnerJob, now: int) -> list[BarSegment]:
    """Return why a job failed, or what it waits for, at `now` in milliseconds; empty if neither applies."""
    if job.status is Status.PENDING:
        question = f" waits for an approval: {approval_wait(job, now)}" if job.waiting else " waits for an approval"
        keys: list[BarSegment] = [
            ("   a", "accent", "screen.press('a')"), (" approve", "", "screen.press('a')"),
            ("  d", "accent", "screen.press('d')"), (" deny", "", "screen.press('d')"),
        ]  # fmt: skip
        return [(question, "yellow", ""), *keys]
    if job.error:
        hint = f"  {plain(job.error.hint)}" if job.error.hint else ""
        return [(f" {plain(job.error.detail)}", "red", ""), (hint, "dim", "")]
    if job.held and job.status in OPEN_STATUSES:
        return [(f" {plain(job.held)}", "yellow", "")]
    return []
