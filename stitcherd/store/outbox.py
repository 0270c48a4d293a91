"""The outbox: which answer is sent next, and what became of it. Times are in milliseconds since 1970."""

from collections.abc import Collection

from msgspec import Struct

from shared.api import Answer
from shared.ids import format_timestamp, short_id
from shared.models import AnswerState, Failure
from stitcherd.errors import Refusal
from stitcherd.store import rows
from stitcherd.store.answers import EDIT_INTERVAL, error_code
from stitcherd.store.db import Db, Reader, Row
from stitcherd.store.events import add_events, new_event
from stitcherd.store.queries import fetch_all

_ACTOR = "stitcherd"


class TakenAnswer(Struct, frozen=True, kw_only=True):
    """An answer that is being sent; nobody else sends it.

    `present_repository` and `present_slot` are where the forge has it by now. `remote_id` is what the forge calls it,
    None until that is known. `uncertain`: an earlier try got no response, so that it may be there nevertheless.
    """

    key: int
    id: str
    source: str
    repository: str
    slot: str
    present_repository: str
    present_slot: str
    kind: str
    job_id: str | None
    delivery_id: str | None
    desired: str
    generation: int
    remote_id: str | None
    tries: int
    uncertain: bool
    pending_since: int
    taken_at: int
    created_at: int


_TAKEN = TakenAnswer.__struct_fields__


def take_answer(db: Db, source: str, now: int) -> TakenAnswer | None:
    """Begin to send the answer of a source that is due, the one with the highest priority first; None without any."""
    row = db.execute(
        "UPDATE answers SET state = 'sending', tries = tries + 1, taken_at = ? WHERE key ="
        " (SELECT key FROM answers WHERE source = ? AND state = 'pending' AND due_at <= ?"
        " ORDER BY priority DESC, due_at, key LIMIT 1) RETURNING *",
        (now, source, now),
    ).fetchone()
    if row is None:
        return None
    values = {name: row[name] for name in _TAKEN}
    return TakenAnswer(**values | {"uncertain": bool(row["uncertain"])})


async def due_sources(db: Reader, now: int) -> list[str]:
    """Return the sources that have an answer to be sent now."""
    found = await fetch_all(db, "SELECT DISTINCT source FROM answers WHERE state = 'pending' AND due_at <= ?", [now])
    return [row["source"] for row in found]


async def next_due(db: Reader, source: str) -> int | None:
    """Return when the next answer of a source is due, None if none is pending."""
    found = await fetch_all(
        db, "SELECT min(due_at) AS at FROM answers WHERE source = ? AND state = 'pending'", [source]
    )
    at: int | None = found[0]["at"]
    return at


async def first_taken(db: Reader, source: str) -> int | None:
    """Return when the first of the answers of a source that are being sent was taken, None if none is."""
    found = await fetch_all(
        db, "SELECT min(taken_at) AS at FROM answers WHERE source = ? AND state = 'sending'", [source]
    )
    at: int | None = found[0]["at"]
    return at


def note_sent(
    db: Db,
    taken: TakenAnswer,
    remote_id: str | None,
    url: str | None,
    now: int,
    *,
    repository: str | None = None,
    slot: str | None = None,
) -> None:
    """Record that an answer was accepted as it was taken; if it has changed meanwhile, it is due again.

    `repository` and `slot` are where, None if that is as before.
    """
    row = db.execute("SELECT * FROM answers WHERE key = ? AND state = 'sending'", (taken.key,)).fetchone()
    if row is None:
        return
    changed = row["generation"] > taken.generation
    url = url or row["url"]
    db.execute(
        "UPDATE answers SET state = ?, sent = ?, remote_id = coalesce(?, remote_id), url = ?, uncertain = 0, tries = 0,"
        " sent_at = ?, due_at = ?, pending_since = ?, error = NULL,"
        " present_repository = coalesce(?, present_repository), present_slot = coalesce(?, present_slot) WHERE key = ?",
        (
            AnswerState.PENDING if changed else AnswerState.DELIVERED,
            taken.generation,
            remote_id,
            url,
            now,
            now + EDIT_INTERVAL,
            now,
            repository,
            slot,
            taken.key,
        ),
    )
    _add_event(db, row, "answer.sent", {"kind": row["kind"], "url": url}, now)


def postpone(db: Db, taken: TakenAnswer, due_at: int, *, uncertain: bool = False, counted: bool = True) -> None:
    """Let an answer wait until it is tried again; `uncertain` as in TakenAnswer, `counted`: it has used a try."""
    db.execute(
        "UPDATE answers SET state = 'pending', due_at = ?, uncertain = CASE WHEN ? = 1 THEN 1 ELSE uncertain END,"
        " tries = tries - ?"
        " WHERE key = ? AND state = 'sending'",
        (due_at, uncertain, not counted, taken.key),
    )


def note_failed(db: Db, taken: TakenAnswer, failure: Failure, now: int) -> None:
    """Record that an answer will not be at the forge."""
    row = db.execute(
        "UPDATE answers SET state = 'failed', error = ? WHERE key = ? AND state = 'sending' RETURNING *",
        (rows.encode(failure), taken.key),
    ).fetchone()
    if row is not None:
        payload = {"kind": row["kind"], "code": failure.code, "detail": failure.detail}
        _add_event(db, row, "answer.failed", payload, now)


def abandon_notifications(db: Db, targets: Collection[str], now: int) -> None:
    """Let the notifications that are still to be told to others than these targets fail: nobody sends them."""
    failure = Failure("gone", "its [[notify]] is not in stitcherd.toml any more")
    abandoned = db.execute(
        "UPDATE answers SET state = 'failed', error = ? WHERE kind = 'notification' AND state IN ('pending', 'sending')"
        " AND source NOT IN (SELECT value FROM json_each(?)) RETURNING *",
        [rows.encode(failure), rows.encode(list(targets))],
    ).fetchall()
    for row in abandoned:
        payload = {"kind": row["kind"], "code": failure.code, "detail": failure.detail}
        _add_event(db, row, "answer.failed", payload, now)


def recover_answers(db: Db, source: str, delay: int, taken_until: int) -> None:
    """Let what was taken until then, and nobody sends any more, be sent again, `delay` after that began."""
    db.execute(
        "UPDATE answers SET state = 'pending', uncertain = 1, due_at = taken_at + ?"
        " WHERE source = ? AND state = 'sending' AND taken_at <= ?",
        (delay, source, taken_until),
    )


def retry_answer(db: Db, answer_id: str, now: int) -> Answer:
    """Let a failed or pending answer be sent at once, as if it had not been tried; raises Refusal for any other."""
    row = db.execute("SELECT * FROM answers WHERE id = ?", (answer_id,)).fetchone()
    if row is None:
        raise Refusal("not_found", f"there is no answer {answer_id!r}")
    if row["state"] not in {AnswerState.FAILED, AnswerState.PENDING}:
        hint = "only failed and pending answers can be sent again"
        raise Refusal("conflict", f"answer {short_id(row['id'])} is {row['state']}", hint)
    anew = row["state"] == AnswerState.FAILED and error_code(row) in {"deleted", "gone"}
    row = db.execute(
        "UPDATE answers SET state = 'pending', due_at = ?, pending_since = ?, tries = 0, error = NULL,"
        " remote_id = CASE WHEN ? = 1 THEN NULL ELSE remote_id END, url = CASE WHEN ? = 1 THEN NULL ELSE url END"
        " WHERE key = ? RETURNING *",
        (now, now, anew, anew, row["key"]),
    ).fetchone()
    return rows.answer(row)


def end_waits(db: Db, source: str, now: int) -> None:
    """Let the pending answers of a source be sent now, but for edits that are too soon, and for uncertain tries."""
    db.execute(
        "UPDATE answers SET due_at = CASE WHEN sent_at > :now - :interval THEN sent_at + :interval ELSE :now END"
        " WHERE source = :source AND state = 'pending' AND due_at > :now AND uncertain = 0",
        {"now": now, "interval": EDIT_INTERVAL, "source": source},
    )


def note_held(db: Db, source: str, workspace: str, reason: str, until: int, now: int) -> None:
    """Record that nothing can be sent for a source until then."""
    payload = {"source": source, "reason": reason, "until": format_timestamp(until)}
    add_events(db, new_event("source.held", actor=_ACTOR, now=now, workspace=workspace, payload=payload))


def note_resumed(db: Db, source: str, workspace: str, now: int) -> None:
    """Record that a source which was held can be used again."""
    add_events(db, new_event("source.resumed", actor=_ACTOR, now=now, workspace=workspace, payload={"source": source}))


def _add_event(db: Db, row: Row, type_: str, payload: dict[str, str | None], now: int) -> None:
    job = db.execute("SELECT key FROM jobs WHERE id = ?", (row["job_id"],)).fetchone()
    about = {"answerId": row["id"], "source": row["source"], "repository": row["repository"], "slot": row["slot"]}
    add_events(
        db,
        new_event(
            type_,
            actor=_ACTOR,
            now=now,
            job=(job["key"], row["job_id"]) if job else None,
            delivery=row["delivery_id"],
            workspace=row["workspace"],
            payload=payload | about,
        ),
    )
