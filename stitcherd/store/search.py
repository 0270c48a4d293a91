"""Finds the jobs that match a filter, newest first, by the index that has them in that order.

An index is in the order of keys only behind columns that are equal. Where a filter leaves several values, each
combination is a branch with a limit of its own, and the branches are merged: no sort and no scan of a million jobs.
"""

import json
from collections.abc import Collection
from math import prod
from typing import Any, NamedTuple

from shared.filters import Filter
from shared.models import Status
from stitcherd.store.db import Reader
from stitcherd.store.search_plan import SearchPlan, fold_case, plan_search

BRANCHES = 1000  # of one page; where there would be more, matches are dense and the jobs are scanned
REPOSITORIES = 2000  # that a glob is matched with; where there are more, it is matched with each job
FEW = 10_000  # jobs, which are searched for text or a failed gate one by one
FETCHED = 1000  # rows at a time

BY_AGENT, BY_STATUS = "jobs_agent_task", "jobs_status"
INDICES = {  # with the columns before the key, the most selective first
    BY_AGENT: ("agent_task_id",),
    "jobs_repository_type": ("workspace", "repository", "type", "status"),
    "jobs_repository": ("workspace", "repository", "status"),
    "jobs_type": ("workspace", "type", "status"),
    "jobs_profile": ("workspace", "profile"),
    BY_STATUS: ("status", "workspace"),
}
LEFT_OPEN = {"workspace", "status"}  # columns that a filter may leave open: a branch then covers each value


class KeyQuery(NamedTuple):
    """A statement that selects keys of jobs, and its values."""

    statement: str
    values: dict[str, Any]


NONE = KeyQuery("SELECT key FROM jobs WHERE 1 = 0", {})


async def matching_keys(
    db: Reader, wanted: Filter, workspace: str | None, now: int, *, below: int | None, limit: int
) -> KeyQuery:
    """Return a query for the keys of the newest jobs that match.

    Ages count from `now`, in ms; `below` is a key that all must be smaller than.
    """
    plan = plan_search(wanted, now)
    if below is not None:
        plan.bounds.append(f"< {plan.bind(below)}")
    sizes = await _sizes(db, workspace)
    workspaces = sorted({workspace for workspace, _ in sizes})
    if plan.globs:
        names = await _repositories(db, plan, workspaces)
        if names is None:
            plan.where += plan.globs
        else:
            plan.keep("repository", names)
    if len(plan.statuses) < len(Status):
        plan.columns["status"] = plan.statuses
    if workspace is not None:
        plan.columns["workspace"] = workspaces
    if not (sizes and all(plan.columns.values())):
        return NONE
    few = sum(size for (_, status), size in sizes.items() if status in plan.statuses) <= FEW
    all_of = {"status": plan.statuses, "workspace": workspaces}
    return KeyQuery(_statement(plan, all_of, limit, few=few), plan.values)


async def find_matching(
    db: Reader, wanted: Filter, workspace: str | None, now: int, limit: int
) -> list[tuple[str, Status]]:
    """Return id and status of every job that matches, oldest first; of more than `limit`, the newest."""
    keys = await matching_keys(db, wanted, workspace, now, below=None, limit=limit)
    found: list[tuple[str, Status]] = []
    statement = f"SELECT id, status FROM jobs WHERE key IN ({keys.statement}) ORDER BY key"
    async with db.execute(statement, keys.values) as cursor:
        while some := await cursor.fetchmany(FETCHED):
            found += [(row["id"], Status(row["status"])) for row in some]
    return found


def _statement(plan: SearchPlan, all_of: dict[str, Collection[str]], limit: int, *, few: bool) -> str:
    columns, most = plan.columns, plan.bind(limit)
    search = "CROSS JOIN job_search ON job_search.job = jobs.key" if plan.searches else ""
    equal: tuple[str, ...] = ()
    first: list[str] = []
    branches: list[str] = []
    distinct = ""
    index = _index(plan, all_of, few=few)
    if index is not None:
        equal = INDICES[index]
        source, key = f"jobs INDEXED BY {index} {search}", "jobs.key"
        branches = [plan.bind(json.dumps(sorted({**all_of, **columns}[column]))) for column in equal]
        first = [f"{_column(column)} = branch{at}.value" for at, column in enumerate(equal)]
    elif plan.gate is not None:
        source, key = f"steps CROSS JOIN jobs ON jobs.key = steps.job {search}", "steps.job"
        branches = [plan.gate]
        first = ["steps.name = branch0.value", "steps.type = 'GATE'", "steps.status = 'FAILED'"]
        distinct = "DISTINCT "  # a gate may fail in several tries, and a job in several gates
    elif plan.searches:
        source, key = "job_search CROSS JOIN jobs ON jobs.key = job_search.job", "job_search.job"
    else:
        source, key = "jobs NOT INDEXED", "jobs.key"
    rest = [f"{_column(name)} IN {plan.among(values)}" for name, values in columns.items() if name not in equal]
    where = " AND ".join([*first, *(f"{key} {bound}" for bound in plan.bounds), *rest, *plan.where]) or "1 = 1"
    newest = f"SELECT {distinct}{key} AS key FROM {source} WHERE {where} ORDER BY {key} DESC LIMIT {most}"
    if not branches:
        return newest
    # SQLite has no LATERAL, but a table function's argument may refer to its left: a branch passes its keys as JSON.
    left = " CROSS JOIN ".join(f"json_each({values}) branch{at}" for at, values in enumerate(branches))
    return (
        f"SELECT {distinct}CAST(found.value AS BIGINT) AS key FROM {left} CROSS JOIN"
        f" json_each((SELECT json_group_array(key) FROM ({newest}) newest)) found ORDER BY key DESC LIMIT {most}"
    )


def _index(plan: SearchPlan, all_of: dict[str, Collection[str]], *, few: bool) -> str | None:
    """Return the index to use; None where jobs are found by a failed gate, by text, or by scanning from the newest."""
    columns = plan.columns
    if plan.gate is not None and not few and "agent_task_id" not in columns:
        return None
    by_status = "status" in columns or "workspace" in columns
    if (plan.searches or plan.gate is not None) and not few:
        by_status = False
    for name, order in INDICES.items():
        if by_status if name == BY_STATUS else columns.keys() >= set(order) - LEFT_OPEN:
            return name if prod(len({**all_of, **columns}[column]) for column in order) <= BRANCHES else None
    return None


def _column(name: str) -> str:
    return f"jobs.{name}" + (" COLLATE NOCASE" if name == "repository" else "")


async def _sizes(db: Reader, workspace: str | None) -> dict[tuple[str, str], int]:
    """Return the number of jobs by workspace and status, where there are any."""
    statement = (
        "SELECT workspace, status, n FROM job_counts WHERE n > 0 AND workspace = coalesce(CAST(? AS TEXT), workspace)"
    )
    found = await db.execute_fetchall(statement, [workspace])
    return {(row["workspace"], row["status"]): row["n"] for row in found}


async def _repositories(db: Reader, plan: SearchPlan, workspaces: list[str]) -> set[str] | None:
    """Return the repositories that match the globs, by skipping along the index; None where there are too many."""
    nothing = "''"
    leap = (
        "SELECT repository FROM jobs INDEXED BY jobs_repository WHERE workspace = {workspace}"
        " AND repository COLLATE NOCASE > {after} ORDER BY repository COLLATE NOCASE LIMIT 1"
    )
    statement = (
        "WITH RECURSIVE names (workspace, repository) AS ("
        f" SELECT value, ({leap.format(workspace='each.value', after=nothing)})"
        f" FROM json_each({plan.bind(json.dumps(workspaces))}) each UNION ALL"
        f" SELECT workspace, ({leap.format(workspace='names.workspace', after='names.repository')})"
        f" FROM names WHERE repository IS NOT NULL)"
        f" SELECT repository, {' AND '.join(plan.globs)} AS fits FROM names WHERE repository IS NOT NULL"
        f" LIMIT {plan.bind(REPOSITORIES)}"
    )
    found = list(await db.execute_fetchall(statement, plan.values))
    return None if len(found) >= REPOSITORIES else {fold_case(r["repository"]) for r in found if r["fits"]}
