"""Translates a filter into SQL conditions with bound values; runs no query."""

import json
from collections.abc import Collection
from typing import Any

from msgspec import Struct, field

from shared.filters import CANCELLING, TEXT_KEY, Filter, FilterTerm, parse_age, parse_period
from shared.models import OPEN_STATUSES, Status

STUCK_MS = 15 * 60_000  # without an event, after which a running job counts as stuck
CLOCK_TOLERANCE_MS = 3_600_000  # that the clock may have been set back, by which age and key may disagree

COLUMN_OF = {"type": "type", "profile": "profile", "executor": "executor", "agent": "agent_task_id"}
ENDED = tuple(status for status in Status if status not in OPEN_STATUSES)
NEWEST_EVENT = "(SELECT e.at FROM events e WHERE e.job = jobs.key ORDER BY e.id DESC LIMIT 1)"
Condition = tuple[tuple[Status, ...], str | None]  # the statuses, and what must hold besides
IS: dict[str, Condition] = {
    "waiting": ((Status.PENDING,), None),
    "open": (OPEN_STATUSES, None),
    "over": (ENDED, None),
    "cancelling": ((Status.RUNNING,), "jobs.cancel_requested = 1"),
    "stuck": ((Status.RUNNING,), f"coalesce({NEWEST_EVENT}, jobs.started_at) <= :silent_since"),
}


class SearchPlan(Struct):
    """A filter in parts: the values that columns may have, and the remaining conditions."""

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
        """Restrict a column to these values, in addition to earlier restrictions."""
        self.columns[column] = set(values) & set(self.columns.get(column, values))


def plan_search(wanted: Filter, now: int) -> SearchPlan:
    """Return the parts of a filter; ages count from `now` (ms)."""
    plan = SearchPlan({"silent_since": now - STUCK_MS}, {})
    for term in wanted.terms:
        if term.key in COLUMN_OF:
            _by_column(plan, term, COLUMN_OF[term.key])
        elif term.key == "age":
            _by_age(plan, term, now)
        else:
            _BY[term.key](plan, term)
    return plan


def _by_column(plan: SearchPlan, term: FilterTerm, column: str) -> None:
    if term.negated:
        plan.where.append(f"coalesce(jobs.{column}, '') NOT IN {plan.among(term.values)}")
    else:
        plan.keep(column, term.values)


def _by_state(plan: SearchPlan, term: FilterTerm) -> None:
    _by_conditions(
        plan, term, [IS["cancelling"] if value == CANCELLING else ((Status(value),), None) for value in term.values]
    )


def _only(plan: SearchPlan, term: FilterTerm, statuses: Collection[str]) -> None:
    named = frozenset(statuses)
    plan.statuses = plan.statuses - named if term.negated else plan.statuses & named


def _by_is(plan: SearchPlan, term: FilterTerm) -> None:
    _by_conditions(plan, term, [IS[value] for value in term.values])


def _by_conditions(plan: SearchPlan, term: FilterTerm, choices: list[Condition]) -> None:
    statuses = {status for each, _ in choices for status in each}
    if not term.negated or all(also is None for _, also in choices):
        _only(plan, term, statuses)
    if any(also is not None for _, also in choices):
        _where(plan, term, [f"(jobs.status IN {plan.among(each)} AND {also or '1 = 1'})" for each, also in choices])


def _by_repository(plan: SearchPlan, term: FilterTerm) -> None:
    if not term.negated and not any("*" in value for value in term.values):
        plan.keep("repository", [fold_case(value) for value in term.values])
        return
    patterns = [plan.bind(_like(value).replace("*", "%")) for value in term.values]
    choices = [f"coalesce(repository LIKE {pattern} ESCAPE '\\', 1 = 0)" for pattern in patterns]
    _where(plan, term, choices, plan.where if term.negated else plan.globs)


def _by_age(plan: SearchPlan, term: FilterTerm, now: int) -> None:
    ages = [(younger, now - milliseconds) for younger, milliseconds in map(parse_age, term.values)]
    _where(
        plan,
        term,
        [f"jobs.created_at {'>' if younger else '<='} {plan.bind(since)}" for younger, since in ages],
    )
    if len(ages) > 1 or term.negated:
        return
    # Keys grow with time, so an age also bounds the keys: rows beyond it are not read at all.
    younger, since = ages[0]
    order, edge = (">", since - CLOCK_TOLERANCE_MS) if younger else ("<=", since + CLOCK_TOLERANCE_MS)
    plan.bounds.append(
        f"{'>=' if younger else '<='} (SELECT key FROM jobs INDEXED BY jobs_created WHERE created_at {order}"
        f" {plan.bind(edge)} ORDER BY created_at {'' if younger else 'DESC'} LIMIT 1)"
    )


def _by_end(plan: SearchPlan, term: FilterTerm) -> None:
    choices = []
    for begin, end in map(parse_period, term.values):
        after = f"jobs.completed_at >= {plan.bind(begin)}"
        choices.append(after if end is None else f"{after} AND jobs.completed_at < {plan.bind(end)}")
    _where(plan, term, [f"coalesce({choice}, 1 = 0)" for choice in choices])
    if len(choices) > 1 or term.negated or end is None:
        return
    # The jobs that ended in a day are few among all: their first and last key bound what is read.
    plan.bounds += [
        f"{order} (SELECT {edge}(key) FROM jobs INDEXED BY jobs_ended WHERE completed_at IS NOT NULL AND {choices[0]})"
        for order, edge in ((">=", "min"), ("<=", "max"))
    ]


def _by_gate(plan: SearchPlan, term: FilterTerm) -> None:
    names = plan.among(term.values)
    failed = f"s.name IN {names} AND s.type = 'GATE' AND s.status = 'FAILED' AND s.attempt = jobs.attempt"
    _where(plan, term, [f"EXISTS (SELECT 1 FROM steps s WHERE s.job = jobs.key AND {failed})"])
    if not term.negated:
        plan.gate = plan.bind(json.dumps(term.values))


def _by_text(plan: SearchPlan, term: FilterTerm) -> None:
    plan.searches = True
    pattern = plan.bind(f"%{_like(term.values[0])}%")
    _where(plan, term, [f"job_search.text LIKE {pattern} ESCAPE '\\'"])


_BY = {
    "state": _by_state,
    "is": _by_is,
    "repo": _by_repository,
    "ended": _by_end,
    "gate": _by_gate,
    TEXT_KEY: _by_text,
}


def _where(plan: SearchPlan, term: FilterTerm, choices: list[str], place: list[str] | None = None) -> None:
    condition = f"{'NOT ' if term.negated else ''}({' OR '.join(choices)})"
    (plan.where if place is None else place).append(condition)


def _like(text: str) -> str:
    r"""Return what LIKE takes for the text itself, with `\` as its escape."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def fold_case(name: str) -> str:
    """Return a name as the collation NOCASE compares it: in lower case, for letters of ASCII only."""
    return name.encode("utf-8", "surrogatepass").lower().decode("utf-8", "surrogatepass")
