"""Answers: what is to be at a forge or told to a target, one row for each thing, written by who follows the events.

A row holds what is wanted, not what is to be done: however often that changes before it is sent, the newest is sent.
What becomes of the rows is in `stitcherd.store.outbox`.
"""

from collections.abc import Sequence

from msgspec import Struct, structs

from shared.api import Answer, AnswerPage
from shared.ids import new_id
from shared.models import AnswerState, JobAnswer, JobChange
from stitcherd.store import rows
from stitcherd.store.db import Db, Reader, Row
from stitcherd.store.events import last_event
from stitcherd.store.queries import conditions, fetch_all, find_by_suffix, key_of_cursor, optional, where_clause

EDIT_INTERVAL = 5_000  # milliseconds between two times that the same thing is sent
_REPORTED = "reported"  # in meta: the id of the newest event whose answers are stored
_AT = (  # by its own place, or by where the forge has it by now
    "SELECT * FROM answers WHERE source = :source"
    " AND ((repository COLLATE NOCASE = :repository COLLATE NOCASE AND slot = :slot)"
    " OR (present_repository COLLATE NOCASE = :repository COLLATE NOCASE AND present_slot = :slot))"
    " ORDER BY (repository COLLATE NOCASE = :repository COLLATE NOCASE AND slot = :slot) DESC, key"
)
_ONCE = frozenset({"notification"})  # kinds of which only the first wish counts: what was told cannot be changed
_MADE_ANEW = frozenset({"deleted", "gone"})  # codes after which the forge no longer has the thing


class DesiredAnswer(Struct, frozen=True, kw_only=True):
    """What is to be in the place that `source`, `repository` and `slot` name; `desired` is its JSON.

    `job_id` and `delivery_id` say what it is about: after a failure, the next one about something else is sent again.
    """

    source: str
    workspace: str
    repository: str
    slot: str
    kind: str
    desired: str
    job_id: str | None = None
    delivery_id: str | None = None
    priority: int = 0


class AnswerFilter(Struct, frozen=True, kw_only=True):
    """The answers that a list shows; an empty field does not narrow it. `before` is the id of an answer."""

    states: tuple[AnswerState, ...] = ()
    workspace: str | None = None
    before: str | None = None


def put_answers(db: Db, wanted: Sequence[DesiredAnswer], reported: int, now: int) -> frozenset[str]:
    """Store what is to be at the forges, and that it follows from all events up to `reported`.

    Return the sources for which there is something to send.
    """
    changed = {answer.source for answer in wanted if _put(db, answer, now)}
    _set_reported(db, reported)
    return frozenset(changed)


def begin_reporting(db: Db) -> int:
    """Return the id of the newest event whose answers are stored: the newest event of all, at the first time."""
    row = db.execute("SELECT value FROM meta WHERE name = ?", (_REPORTED,)).fetchone()
    if row is not None:
        return int(row["value"])
    newest = last_event(db)
    _set_reported(db, newest)
    return newest


async def answer_page(db: Reader, wanted: AnswerFilter, limit: int) -> AnswerPage:
    """Return a page of answers, newest first."""
    where, values = conditions(("state", wanted.states), ("workspace", optional(wanted.workspace)))
    if wanted.before is not None:
        where.append("key < ?")
        values.append(await key_of_cursor(db, "answers", wanted.before, wanted.workspace))
    found = await fetch_all(
        db, f"SELECT * FROM answers{where_clause(where)} ORDER BY key DESC LIMIT ?", [*values, limit + 1]
    )
    items = tuple(rows.answer(row) for row in found[:limit])
    return AnswerPage(items, items[-1].id if len(found) > limit else None)


async def get_answer(db: Reader, name: str, workspace: str | None) -> Answer:
    """Return an answer, named by its id or the end of it; raise Refusal for none or several."""
    return rows.answer(await find_by_suffix(db, "answers", name, workspace))


async def desired_at(db: Reader, source: str, repository: str, slot: str) -> str | None:
    """Return the JSON of what is to be at a place, None if there is nothing."""
    found = await _at(db, source, repository, slot)
    return found[0]["desired"] if found else None


async def is_vacant(db: Reader, source: str, repository: str, slot: str, answer_id: str) -> bool:
    """Say whether no other answer than this one is at a place, or is to be there."""
    return all(row["id"] == answer_id for row in await _at(db, source, repository, slot))


async def _at(db: Reader, source: str, repository: str, slot: str) -> list[Row]:
    return list(await db.execute_fetchall(_AT, {"source": source, "repository": repository, "slot": slot}))


async def job_answers(db: Reader, job_id: str) -> tuple[tuple[JobAnswer, ...], JobChange | None]:
    """Return the answers about a job, oldest first, and the change that was opened for it."""
    found = await fetch_all(db, "SELECT * FROM answers WHERE job_id = ? ORDER BY key", [job_id])
    answers = [rows.answer(row) for row in found]
    shown = tuple(JobAnswer(each.kind, each.state, each.url, each.error) for each in answers)
    opened = [row for row in found if row["kind"] == "change" and row["remote_id"] is not None]
    return shown, JobChange(int(opened[-1]["remote_id"]), opened[-1]["url"]) if opened else None


def _put(db: Db, new: DesiredAnswer, now: int) -> bool:
    """Store one answer; return whether there is something to send."""
    place = {"source": new.source, "repository": new.repository, "slot": new.slot}
    row = db.execute(_AT, place).fetchone()
    if row is None:
        _insert(db, new, now)
        return True
    if new.kind in _ONCE:
        return False
    about_another = (row["job_id"], row["delivery_id"]) != (new.job_id, new.delivery_id)
    failed = row["state"] == AnswerState.FAILED
    if row["desired"] == new.desired and not (failed and about_another):
        return False
    changes = {
        "desired": new.desired,
        "generation": row["generation"] + 1,
        "job_id": new.job_id,
        "delivery_id": new.delivery_id,
        "priority": new.priority,
    }
    if about_another and (row["repository"].lower(), row["slot"]) == (new.repository.lower(), new.slot):
        # another repository may have taken the earlier name; if not, the forge leads to the present place again
        changes |= {"present_repository": new.repository, "present_slot": new.slot}
    waits = failed and not about_another  # what the forge refused is not sent again for the same reason
    if row["state"] == AnswerState.DELIVERED or (failed and about_another):
        due_at = now if row["sent_at"] is None else max(now, row["sent_at"] + EDIT_INTERVAL)
        changes |= {"state": AnswerState.PENDING, "due_at": due_at, "pending_since": now, "tries": 0, "error": None}
    if failed and about_another and error_code(row) in _MADE_ANEW:
        changes |= {"remote_id": None, "url": None}
    db.execute(
        f"UPDATE answers SET {', '.join(f'{name} = ?' for name in changes)} WHERE key = ?",
        [*changes.values(), row["key"]],
    )
    return not waits


def error_code(row: Row) -> str | None:
    """Return the code of the error that is stored in a row, None without one."""
    error = rows.answer(row).error
    return error.code if error else None


def _insert(db: Db, new: DesiredAnswer, now: int) -> None:
    identifier = new_id()
    columns = structs.asdict(new) | {
        "id": identifier,
        "tail": rows.reversed_suffix(identifier),
        "present_repository": new.repository,
        "present_slot": new.slot,
        "state": AnswerState.PENDING,
        "due_at": now,
        "pending_since": now,
        "created_at": now,
    }
    db.execute(
        f"INSERT INTO answers ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})", list(columns.values())
    )


def _set_reported(db: Db, event: int) -> None:
    db.execute(
        "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (_REPORTED, str(event)),
    )
