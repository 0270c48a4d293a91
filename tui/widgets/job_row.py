"""A job as one line of the list: which columns there are at a width, and what stands in them."""

from functools import lru_cache

from msgspec import Struct

from shared import ids
from shared.models import OPEN, RunnerJob, Status
from tui.plain import cut, plain, width
from tui.times import age, left, milliseconds
from tui.widgets.paint import Line
from tui.wording import NOTHING, cost, look, place, taken


class Column(Struct, frozen=True):
    """A column; one of `cells` 0 takes what the others leave, and low `rank` goes first when there is no room."""

    name: str
    cells: int
    rank: int
    right: bool = False


IDLE = frozenset({"TRY", "TIME", "TOKENS", "COST", "AGE"})  # columns that say little of jobs that never ran
GAP = 2
THREAD_MAX = 34
LAST_MIN = 16
COLUMNS = (
    Column("ID", 8, 9),
    Column("STATE", 12, 9),
    Column("TYPE", 8, 6),
    Column("THREAD", 16, 9),
    Column("LAST", 0, 5),
    Column("TRY", 3, 2, right=True),
    Column("TIME", 6, 8, right=True),
    Column("TOKENS", 6, 1, right=True),
    Column("COST", 7, 0, right=True),
    Column("AGE", 4, 4, right=True),
)


@lru_cache(maxsize=16)
def columns(cells: int, without: frozenset[str] = frozenset()) -> tuple[Column, ...]:
    """Return the columns that fit in `cells`, with their widths: the thread grows first, then what happened last.

    Those in `without` have nothing to say.
    """
    shown = [column for column in COLUMNS if column.name not in without]
    for doomed in sorted(shown, key=lambda column: column.rank):
        if _taken(shown) <= cells:
            break
        if doomed.rank < 9:
            shown.remove(doomed)
    spare = cells - _taken(shown)
    wider = {"THREAD": max(0, min(THREAD_MAX - 16, spare // 2 if _has_last(shown) else spare))}
    wider["LAST"] = max(LAST_MIN + spare - wider["THREAD"], 0) if _has_last(shown) else 0
    return tuple(
        Column(column.name, column.cells + wider.get(column.name, 0), column.rank, column.right) for column in shown
    )


def heading(cells: int, without: frozenset[str] = frozenset()) -> Line:
    """Return the line above the rows."""
    names = (" " * GAP).join(_fitted(column, column.name) for column in columns(cells, without))
    return [("  ", ""), (names, "dim")]


def row(
    job: RunnerJob, said: str, cells: int, now: int, *, marked: bool, without: frozenset[str] = frozenset()
) -> Line:
    """Return the line of a job, at `now` in milliseconds; `said` is what its last event said."""
    line = [("▌" if marked else "", "accent")]
    for column in columns(cells, without):
        text, style = _cell(column, job, said, now)
        line += [(" " * (GAP - width(line[0][0]) if len(line) == 1 else GAP), ""), (_fitted(column, text), style)]
    return line


def unknown(job_id: str) -> Line:
    """Return the line of a job that was not asked for yet."""
    return [("  ", ""), (f"{plain(ids.short(job_id))}  …", "dim")]


def _cell(column: Column, job: RunnerJob, said: str, now: int) -> tuple[str, str]:  # noqa: PLR0911 (a table)
    state = look(job)
    quiet = "" if job.status in OPEN else "dim"
    match column.name:
        case "ID":
            return plain(ids.short(job.id)), quiet
        case "STATE":
            return f"{state.glyph} {state.word}", state.colour
        case "TYPE":
            return plain(job.type), ""
        case "THREAD":
            return _last_part(place(job.repository, job.thread), column.cells), ""
        case "LAST":
            return happening(job, said, now), "red" if job.status is Status.FAILED else "dim"
        case "TRY":
            return f"{job.tries.used}/{job.tries.max}", quiet
        case "TIME":
            return taken(job, now), quiet
        case "TOKENS":
            return tokens(job), quiet
        case "COST":
            return cost(job), quiet
        case _:
            return age(now - milliseconds(job.created_at)).removesuffix(" ago"), quiet


def happening(job: RunnerJob, said: str, now: int) -> str:
    """Return what there is to say of a job beside its state, at `now` in milliseconds."""
    if job.error:
        return plain(job.error.detail)
    if job.status is Status.PENDING:
        return waiting(job, now)
    if job.status is Status.QUEUED and job.held:
        return plain(job.held)
    if job.status is Status.RUNNING:
        return said or plain(job.last_event)
    if job.thread and job.thread.title:
        return plain(job.thread.title)
    return ""


def waiting(job: RunnerJob, now: int) -> str:
    """Return how long a job may still be approved, what asks for it, and who may answer."""
    if job.waiting is None:
        return "needs an approval"
    asks = ", ".join(job.waiting.guards)
    return plain(
        f"{left(milliseconds(job.waiting.expires_at) - now)} · {asks}, by {', '.join(job.waiting.by) or 'you'}"
    )


def tokens(job: RunnerJob) -> str:
    """Return what a job used, `812` or `20.1k` or `1.3M`, or a dash where nobody said."""
    number = job.usage.input_tokens + job.usage.output_tokens
    if not number:
        return NOTHING
    for size, unit in ((1_000_000, "M"), (1000, "k")):
        if number >= size:
            return f"{number / size:.1f}{unit}"
    return str(number)


def _taken(shown: list[Column]) -> int:
    return 2 + sum((column.cells or LAST_MIN) + GAP for column in shown) - GAP


def _has_last(shown: list[Column]) -> bool:
    return any(column.name == "LAST" for column in shown)


def _fitted(column: Column, text: str) -> str:
    text = cut(text, column.cells)
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
