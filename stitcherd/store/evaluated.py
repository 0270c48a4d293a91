"""Reads deliveries with their bodies, to evaluate them: undecided ones, which wait for a permission, and past ones."""

from msgspec import Struct

from shared.deliveries import Delivery
from shared.models import Decision
from stitcherd.store import rows
from stitcherd.store.bodies import read_body
from stitcherd.store.db import Reader
from stitcherd.store.queries import conditions, fetch_all, optional, where_clause


class UndecidedDelivery(Struct, frozen=True):
    """A delivery that is not decided yet, received at `received_at` (ms), with its body and the actor of its job."""

    delivery: Delivery
    body: bytes
    actor: str
    received_at: int


async def undecided_deliveries(db: Reader) -> list[Delivery]:
    """Return the deliveries that are not decided yet, oldest first."""
    found = await fetch_all(db, "SELECT * FROM deliveries WHERE verdict = 'deciding' ORDER BY key", [])
    return [rows.delivery(row) for row in found]


async def find_undecided(db: Reader, delivery_id: str) -> UndecidedDelivery | None:
    """Return a delivery that is not decided yet, None if it is decided."""
    found = await fetch_all(
        db,
        "SELECT d.*, b.zstd, b.body FROM deliveries d JOIN delivery_bodies b ON b.delivery = d.key"
        " WHERE d.id = ? AND d.verdict = 'deciding'",
        [delivery_id],
    )
    if not found:
        return None
    row = found[0]
    return UndecidedDelivery(rows.delivery(row), read_body(row), row["actor"], row["received_at"])


async def decided_deliveries(
    db: Reader, workspace: str | None, since: int, before: int | None, limit: int
) -> list[tuple[int, Delivery, bytes | None, Decision | None]]:
    """Return deliveries received at `since` (ms) or later, newest first: key, delivery, body if kept, decision.

    `before` is a key that all are smaller than.
    """
    where, values = conditions(("d.workspace", optional(workspace)))
    if before is not None:
        where.append("d.key < ?")
        values.append(before)
    if since:  # the index by time gives the first key, and the scan goes by keys
        where.append("d.key >= (SELECT key FROM deliveries WHERE received_at >= ? ORDER BY received_at LIMIT 1)")
        values.append(since)
    found = await fetch_all(
        db,
        "SELECT d.*, b.zstd, b.body, c.document AS document FROM deliveries d"
        " LEFT JOIN delivery_bodies b ON b.delivery = d.key LEFT JOIN decisions c ON c.key = d.decision"
        f"{where_clause(where)} ORDER BY d.key DESC LIMIT ?",
        [*values, limit],
    )
    return [
        (
            row["key"],
            rows.delivery(row),
            None if row["body"] is None else read_body(row),
            rows.decision(row["document"]),
        )
        for row in found
    ]
