"""Deliveries whose verdict is deciding: a permission must be asked before they are decided."""

import aiosqlite
from msgspec import Struct

from shared.deliveries import Delivery
from stitcherd.store import rows
from stitcherd.store.bodies import read_body
from stitcherd.store.queries import fetch_all


class UndecidedDelivery(Struct, frozen=True):
    """A delivery that is not decided yet, received at `received_at` (ms), with its body and the actor of its job."""

    delivery: Delivery
    body: bytes
    actor: str
    received_at: int


async def undecided_deliveries(db: aiosqlite.Connection) -> list[Delivery]:
    """Return the deliveries that are not decided yet, oldest first."""
    found = await fetch_all(db, "SELECT * FROM deliveries WHERE verdict = 'deciding' ORDER BY key", [])
    return [rows.delivery(row) for row in found]


async def find_undecided(db: aiosqlite.Connection, delivery_id: str) -> UndecidedDelivery | None:
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
