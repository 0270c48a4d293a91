"""Deliveries whose verdict is deciding: a permission must be asked before they are decided."""

import aiosqlite
from msgspec import Struct

from shared.models import Delivery
from stitcherd.store import rows
from stitcherd.store.queries import fetch_all


class UndecidedDelivery(Struct, frozen=True):
    """A delivery that is not decided yet, its body, None if retention has removed it, and the actor of its job."""

    delivery: Delivery
    body: bytes | None
    actor: str


async def undecided_ids(db: aiosqlite.Connection) -> list[str]:
    """Return the ids of the deliveries that are not decided yet, oldest first."""
    found = await fetch_all(db, "SELECT id FROM deliveries WHERE verdict = 'deciding' ORDER BY key", [])
    return [row["id"] for row in found]


async def find_undecided(db: aiosqlite.Connection, delivery_id: str) -> UndecidedDelivery | None:
    """Return a delivery that is not decided yet, None if it is decided."""
    found = await fetch_all(
        db,
        "SELECT d.*, b.body AS body FROM deliveries d LEFT JOIN delivery_bodies b ON b.delivery = d.key"
        " WHERE d.id = ? AND d.verdict = 'deciding'",
        [delivery_id],
    )
    if not found:
        return None
    return UndecidedDelivery(rows.delivery(found[0]), found[0]["body"], found[0]["actor"])
