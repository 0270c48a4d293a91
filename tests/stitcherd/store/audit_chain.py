"""Writes events, verifies their chain, and changes a database past its store."""

from contextlib import closing
from pathlib import Path

from shared.audit import ChainReport, verify_export
from shared.ids import now_ms
from stitcherd.store import audit, events, retention
from stitcherd.store.store import Store
from tests.stores import open_directly

DAY = 86_400_000
NOTE = "rails.reloaded"


async def lines(store: Store) -> list[bytes]:
    async with store.snapshot() as db:
        return b"".join([chunk async for chunk in audit.export_events(db)]).splitlines()


async def verify(store: Store, head: str | None = None) -> ChainReport:
    return verify_export(await lines(store), head)


async def add(store: Store, count: int, now: int | None = None) -> None:
    for number in range(count):
        new = events.new_event(NOTE, actor="rails", now=now or now_ms(), payload={"n": number, "text": 'ü\n"\u2028'})
        await store.write(events.add_events, new)


async def prune(store: Store, before: int) -> None:
    while await store.write(retention.prune_events, before, now_ms()):
        pass


def tamper(path: Path, *statements: str) -> None:
    """Change the database as somebody could who has the file, past the store."""
    with closing(open_directly(path)) as db:
        for statement in statements:
            db.execute(statement)
