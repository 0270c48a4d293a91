"""From a filter to conditions: what each of its words means in SQL, every value bound; finds nothing itself."""

import json
from collections.abc import Collection
from typing import Any

from msgspec import Struct, field

from shared.filters import TEXT_KEY, Filter, FilterTerm, parse_age
from shared.models import OPEN_STATUSES, Status

STUCK_MS = 15 * 60_000  # ms without an event, after which a running job is stuck
CLOCK_TOLERANCE_MS = 3_600_000  # ms that the clock may have been set back, before age and key part ways

COLUMN_OF = {"type": "type", "profile": "profile", "agent": "agent_task_id"}
ENDED = tuple(status for status in Status if status not in OPEN_STATUSES)
NEWEST_EVENT = "(SELECT e.at FROM events e WHERE e.job = jobs.key ORDER BY e.id DESC LIMIT 1)"
IS: dict[str, tuple[tuple[Status, ...], str | None]] = {  # the statuses, and what must hold besides
    "waiting": ((Status.PENDING,), None),
    "open": (OPEN_STATUSES, None),
    "over": (ENDED, None),
    "cancelling": ((Status.RUNNING,), "jobs.cancel_requested = 1"),
    "stuck": ((Status.RUNNING,), f"coalesce({NEWEST_EVENT}, jobs.started_at) <= :silent_since"),
}


class SearchPlan(Struct):
    """A filter taken apart: the values that columns may have, and the conditions that are left."""

    values: dict[str, Any]
    columns: dict[str, Collection[str]]
    statuses: frozenset[str] = frozenset(Status)
    globs: list[str] = field(default_factory=list)  # conditions on `repository`
    gate: str | None = None  # the name under which a list of gates is bound: one of them failed
    searches: bool = False
    bounds: list[str] = field(default_factory=list)  # on the key
    where: list[str] = field(default_factory=list)

    def bind(self, value: Any) -> str:
        """Return the placeholder of a value."""
        name = f"v{len(self.values)}"
        self.values[name] = value
        return f":{name}"

    def among(self, values: Collection[str]) -> str:
        """Return a list of values for IN."""
        return f"(SELECT value FROM json_each({self.bind(json.dumps(sorted(values)))}))"

    def keep(self, column: str, values: Collection[str]) -> None:
        """Narrow a column to what it may have by this and by what was said before."""
        self.columns[column] = set(values) & set(self.columns.get(column, values))


def plan_search(wanted: Filter, now: int) -> SearchPlan:
    """Take a filter apart, at a time in ms."""
    narrowed = SearchPlan({"silent_since": now - STUCK_MS}, {})
    for term in wanted.terms:
        if term.key in COLUMN_OF:
            _by_column(narrowed, term, COLUMN_OF[term.key])
        elif term.key == "age":
            _by_age(narrowed, term, now)
        else:
            _BY[term.key](narrowed, term)
    return narrowed


def _by_column(narrowed: SearchPlan, term: FilterTerm, column: str) -> None:
    if term.negated:
        narrowed.where.append(f"coalesce(jobs.{column}, '') NOT IN {narrowed.among(term.values)}")
    else:
        narrowed.keep(column, term.values)


def _by_state(narrowed: SearchPlan, term: FilterTerm) -> None:
    _only(narrowed, term, term.values)


def _only(narrowed: SearchPlan, term: FilterTerm, statuses: Collection[str]) -> None:
    named = frozenset(statuses)
    narrowed.statuses = narrowed.statuses - named if term.negated else narrowed.statuses & named


def _by_is(narrowed: SearchPlan, term: FilterTerm) -> None:
    meant = [IS[value] for value in term.values]
    statuses = {status for each, _ in meant for status in each}
    if not term.negated or all(also is None for _, also in meant):
        _only(narrowed, term, statuses)
    if any(also is not None for _, also in meant):
        _where(narrowed, term, [f"(jobs.status IN {narrowed.among(each)} AND {also or 1})" for each, also in meant])


def _by_repository(narrowed: SearchPlan, term: FilterTerm) -> None:
    if not term.negated and not any("*" in value for value in term.values):
        narrowed.keep("repository", [fold_case(value) for value in term.values])
        return
    patterns = [narrowed.bind(_like(value).replace("*", "%")) for value in term.values]
    choices = [f"coalesce(repository LIKE {pattern} ESCAPE '\\', 0)" for pattern in patterns]
    _where(narrowed, term, choices, narrowed.where if term.negated else narrowed.globs)


def _by_age(narrowed: SearchPlan, term: FilterTerm, now: int) -> None:
    ages = [(younger, now - milliseconds) for younger, milliseconds in map(parse_age, term.values)]
    _where(
        narrowed,
        term,
        [f"jobs.created_at {'>' if younger else '<='} {narrowed.bind(since)}" for younger, since in ages],
    )
    if len(ages) > 1 or term.negated:
        return
    # Keys grow with time, so an age is an end of the search too: what lies beyond is not even looked at.
    younger, since = ages[0]
    order, edge = (">", since - CLOCK_TOLERANCE_MS) if younger else ("<=", since + CLOCK_TOLERANCE_MS)
    narrowed.bounds.append(
        f"{'>=' if younger else '<='} (SELECT key FROM jobs INDEXED BY jobs_created WHERE created_at {order}"
        f" {narrowed.bind(edge)} ORDER BY created_at {'' if younger else 'DESC'} LIMIT 1)"
    )


def _by_gate(narrowed: SearchPlan, term: FilterTerm) -> None:
    names = narrowed.among(term.values)
    failed = f"s.name IN {names} AND s.type = 'GATE' AND s.status = 'FAILED' AND s.attempt = jobs.attempt"
    _where(narrowed, term, [f"EXISTS (SELECT 1 FROM steps s WHERE s.job = jobs.key AND {failed})"])
    if not term.negated:
        narrowed.gate = narrowed.bind(json.dumps(term.values))


def _by_text(narrowed: SearchPlan, term: FilterTerm) -> None:
    narrowed.searches = True
    pattern = narrowed.bind(f"%{_like(term.values[0])}%")
    _where(narrowed, term, [f"job_search.text LIKE {pattern} ESCAPE '\\'"])


_BY = {"state": _by_state, "is": _by_is, "repo": _by_repository, "gate": _by_gate, TEXT_KEY: _by_text}


def _where(narrowed: SearchPlan, term: FilterTerm, choices: list[str], place: list[str] | None = None) -> None:
    condition = f"{'NOT ' if term.negated else ''}({' OR '.join(choices)})"
    (narrowed.where if place is None else place).append(condition)


def _like(text: str) -> str:
    r"""Return what LIKE takes for the text itself, with `\` as its escape."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def fold_case(name: str) -> str:
    """Return a name as NOCASE sees it: only the letters of ASCII have no case."""
    return name.encode("utf-8", "surrogatepass").lower().decode("utf-8", "surrogatepass")
