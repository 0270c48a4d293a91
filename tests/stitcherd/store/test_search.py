"""Filters over a real file: what SQL finds is what a plain reading of the filter finds, by every way to find it."""

import asyncio
import random
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from shared.filters import CANCELLING, TEXT_KEY, Filter, FilterTerm, parse_age, parse_filter, parse_period
from shared.models import OPEN_STATUSES, Status
from stitcherd.store import search, search_plan
from stitcherd.store.db import Db, Reader
from stitcherd.store.store import Store
from tests import stores
from tests.stores import open_store

NOW = 1_800_000_000_000
HOUR = 3_600_000
TYPES = ("fix", "review", "100%_sure", "bump")
REPOSITORIES = ("octo-org/api", "octo-org/web", "Octo-Org/API", "acme/x_y", "acme/xzy", "acme/%", None)
TITLES = ('Say "hi" 50% of a_b', "Back\\slash", "Straße", "plain words", None)
ENDED = ("COMPLETED", "FAILED", "CANCELLED")
COLUMNS = {"state": "status", "type": "type", "profile": "profile", "executor": "executor", "agent": "agent_task_id"}


class Row(Struct):
    """A job, as the plain reading sees it."""

    key: int
    columns: dict[str, Any]
    failed_gates: set[str]  # of its present attempt
    newest_event: int


class Jobs:
    """The jobs, and what asks the store for them."""

    def __init__(self, rows: list[Row], ask: Callable[..., list[int]]) -> None:
        self.rows = rows
        self.ask = ask

    def expected(self, wanted: Filter, workspace: str | None, limit: int) -> list[int]:
        found = [row for row in self.rows if workspace in {None, row.columns["workspace"]}]
        return [row.key for row in reversed(found) if all(_holds(row, term) for term in wanted.terms)][:limit]


def _holds(row: Row, term: FilterTerm) -> bool:
    return any(_is(row, term.key, value) for value in term.values) is not term.negated


def _is(row: Row, key: str, value: str) -> bool:
    columns = row.columns
    found: bool
    if (key, value) == ("state", CANCELLING):
        found = _is(row, "is", "cancelling")
    elif key in COLUMNS:
        found = columns[COLUMNS[key]] == value
    elif key == "repo":
        pattern = "".join(".*" if part == "*" else re.escape(part) for part in re.split(r"(\*)", value))
        name = columns["repository"]
        found = name is not None and re.fullmatch(pattern, name, re.IGNORECASE | re.ASCII) is not None
    elif key == "age":
        younger, length = parse_age(value)
        found = (columns["created_at"] > NOW - length) is younger
    elif key == "ended":
        begin, end = parse_period(value)
        at = columns["completed_at"]
        found = at is not None and at >= begin and (end is None or at < end)
    elif key == "gate":
        found = value in row.failed_gates
    elif key == "is":
        running = columns["status"] == "RUNNING"
        found = {
            "waiting": columns["status"] == "PENDING",
            "open": columns["status"] in OPEN_STATUSES,
            "over": columns["status"] not in OPEN_STATUSES,
            "cancelling": running and columns["cancel_requested"] == 1,
            "stuck": running and row.newest_event <= NOW - search_plan.STUCK_MS,
        }[value]
    else:
        place = f"{columns['repository']}#{columns['thread_number']}" if columns["repository"] else ""
        error = "gates_failed: tests failed" if columns["error"] else ""
        lines = (columns["type"], place, columns["thread_title"] or "", error)
        found = any(_lower(value) in _lower(line) for line in lines)
    return found


def _lower(text: str) -> str:
    return text.encode().lower().decode()


def _fill(db: Db) -> list[Row]:
    chance = random.Random(7)
    rows = []
    for key in range(1, 121):
        status = chance.choice(list(Status))
        columns = {
            "key": key,
            "id": f"0199f3a1-0000-7000-8000-{key:012}",
            "tail": f"{key:012}"[::-1],
            "workspace": chance.choice(("default", "default", "lab")),
            "agent_task_id": chance.choice((None, "task-7", "task-8")),
            "type": chance.choice(TYPES),
            "status": status,
            "priority": 5,
            "profile": chance.choice(("weaver", "reader")),
            "executor": chance.choice(("agent", "agent", "other")),
            "repository": chance.choice(REPOSITORIES),
            "thread_kind": "issue",
            "thread_number": key,
            "thread_title": chance.choice(TITLES),
            "attempt": 2,
            "tries_max": 3,
            "on_interrupt": "fail",
            "error": '{"code":"gates_failed","detail":"tests failed"}' if status == "FAILED" else None,
            "rails_digest": "r1",
            "actor": "uid:0",
            "created_at": NOW - (120 - key) * HOUR // 2 - 1,
            "completed_at": NOW - (120 - key) * HOUR // 2 + chance.randrange(3 * HOUR) if status in ENDED else None,
            "cancel_requested": chance.randrange(2),
            "last_event": "job.queued",
        }
        db.execute(
            f"INSERT INTO jobs ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})", [*columns.values()]
        )
        failed = set()
        for ordinal, attempt in enumerate((1, 2, 2)):
            gate, bad = chance.choice(("lint", "tests", "a, b")), chance.random() < 0.4
            db.execute(
                "INSERT INTO steps (id, job, attempt, ordinal, phase, type, name, status)"
                " VALUES (?, ?, ?, ?, 'VALIDATION', 'GATE', ?, ?)",
                (
                    f"{key}-{ordinal}",
                    key,
                    attempt,
                    ordinal,
                    gate,
                    "FAILED" if bad else "COMPLETED",
                ),
            )
            failed |= {gate} if bad and attempt == 2 else set()
        newest = NOW - chance.choice((HOUR, 60_000))
        for number, at in enumerate((NOW - 9 * HOUR, newest)):
            db.execute(
                "INSERT INTO events (id, job, type, actor, at, payload) VALUES (?, ?, 'job.queued', 'uid:0', ?, '{}')",
                (2 * key + number, key, at),
            )
        rows.append(Row(key, columns, failed, newest))
    return rows


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jobs]:
    with asyncio.Runner() as loop:
        store = loop.run(open_store(tmp_path_factory.mktemp("filters") / "stitcher.db"))
        rows = loop.run(store.write(_fill))

        def ask(wanted: Filter, workspace: str | None = None, below: int | None = None, limit: int = 500) -> list[int]:
            return loop.run(_ask_store(store, wanted, workspace, below, limit))

        yield Jobs(rows, ask)
        loop.run(store.close())


async def _ask_store(store: Store, *asked: Any) -> list[int]:
    async with store.reading() as db:
        return await _ask(db, *asked)


async def _ask(db: Reader, wanted: Filter, workspace: str | None, below: int | None, limit: int) -> list[int]:
    keys = await search.matching_keys(db, wanted, workspace, NOW, below=below, limit=limit)
    async with db.execute(keys.statement, keys.values) as cursor:
        return [row["key"] async for row in cursor]


def _terms(key: str, values: tuple[str, ...], most: int = 3) -> st.SearchStrategy[FilterTerm]:
    some = st.lists(st.sampled_from(values), min_size=1, max_size=most, unique=True).map(tuple)
    return st.builds(FilterTerm, st.just(key), some, st.booleans())


NAMES = tuple(name for name in REPOSITORIES if name)
TERM = st.one_of(
    _terms("state", (*Status, CANCELLING)),
    _terms("type", (*TYPES, "none")),
    _terms("repo", (*NAMES, "OCTO-ORG/web", "octo-org/*", "*/x_y", "*", "acme/%", "none/*", "none/x")),
    _terms("profile", ("weaver", "reader", "none")),
    _terms("agent", ("task-7", "task-8", "none")),
    _terms("age", ("<2h", ">2h", "<1d", ">1d", "<90d", ">90d", "<0d")),
    _terms("is", tuple(search_plan.IS)),
    _terms("executor", ("agent", "other", "none")),
    _terms("ended", ("2027-01-14", "2027-01-15T03", ">=2027-01-14", ">=2027-01-15T05", "2026-01-01")),
    _terms("gate", ("lint", "tests", "a, b", "none")),
    _terms(
        TEXT_KEY,
        ("FIX", "a_b", "50%", '"HI"', "\\", "straße", "api#1", "gates_failed", "%", "x_y", "none", "plain words"),
        most=1,
    ),
)
FILTER = st.lists(TERM, max_size=4).map(lambda terms: Filter(tuple(terms)))
WORKSPACE = st.sampled_from((None, "default", "lab", "none"))
LIMITS = ("BRANCHES", "FEW", "REPOSITORIES")  # small ones send the same question another way


@settings(max_examples=300 if stores.kind == "sqlite" else 100, deadline=None)
@given(FILTER, WORKSPACE, st.sets(st.sampled_from(LIMITS)), st.sampled_from((3, 500)))
def test_sql_finds_what_a_plain_loop_finds(
    jobs: Jobs, wanted: Filter, workspace: str | None, small: set[str], limit: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name in small:
            patch.setattr(search, name, 3)
        assert jobs.ask(wanted, workspace, limit=limit) == jobs.expected(wanted, workspace, limit)


@pytest.mark.sqlite  # that what is found is right in PostgreSQL, too, is shown above
@settings(deadline=None)
@given(FILTER, WORKSPACE)
def test_pages_have_no_gaps_or_repetitions(jobs: Jobs, wanted: Filter, workspace: str | None) -> None:
    seen: list[int] = []
    while page := jobs.ask(wanted, workspace, seen[-1] if seen else None, 7):
        seen += page
    assert seen == jobs.expected(wanted, workspace, 500)


@pytest.mark.parametrize("line", ["state:failed -state:failed", "type:fix type:bump", "-is:open -is:over", "repo:none"])
def test_an_impossible_filter_runs_no_query(jobs: Jobs, line: str) -> None:
    assert jobs.ask(parse_filter(line)) == []


def test_a_job_without_a_repository_matches_no_repository(jobs: Jobs) -> None:
    without = jobs.ask(parse_filter("-repo:*"))
    assert sorted(without + jobs.ask(parse_filter("repo:*"))) == [row.key for row in jobs.rows]
    assert {jobs.rows[key - 1].columns["repository"] for key in without} == {None}


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("line", "workspace", "by"),
    [
        ("", None, None),
        ("", "lab", "jobs_status"),
        ("state:failed", None, "jobs_status"),
        ("-state:completed", "lab", "jobs_status"),
        ("type:fix", None, "jobs_type"),
        ("type:fix,bump state:failed", "lab", "jobs_type"),
        ("repo:octo-org/*", None, "jobs_repository"),
        ("repo:octo-org/api type:fix", "lab", "jobs_repository_type"),
        ("profile:weaver", None, "jobs_profile"),
        ("agent:task-7 state:failed gate:lint", None, "jobs_agent_task"),
        ("gate:lint type:fix", None, "steps_failed_gates"),
        ("words", None, None),
        ("ended:2027-01-14", None, "jobs_ended"),
        ("ended:2027-01-14 state:failed", "lab", "jobs_status"),
    ],
)
def test_every_page_is_read_in_the_order_of_an_index(
    jobs: Jobs, monkeypatch: Any, line: str, workspace: str | None, by: str | None
) -> None:
    monkeypatch.setattr(search, "FEW", 3)
    plans: list[str] = []

    async def explained(db: Reader, wanted: Filter, *_rest: Any) -> list[int]:
        keys = await search.matching_keys(db, wanted, workspace, NOW, below=100, limit=10)
        statement = keys.statement
        # Merging the branches may sort; what must come in order is each of them.
        if branch := re.search(r"json_group_array\(key\) FROM \((.*)\) newest\)\) found", statement):
            statement = re.sub(r"branch\d\.value", "'x'", branch[1])
        async with db.execute(f"EXPLAIN QUERY PLAN {statement}", keys.values) as cursor:
            plans.extend([row["detail"] async for row in cursor])
        return []

    monkeypatch.setitem(globals(), "_ask", explained)
    jobs.ask(parse_filter(line), workspace)
    assert not [plan for plan in plans if "TEMP B-TREE" in plan], plans
    assert by is None or any(f"{by} (" in plan for plan in plans), plans
