"""An outbox on a real store, connected to a fake forge; time moves only when a test moves it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web
from msgspec import Struct

from shared.models import Status
from stitcherd.forges.api import ForgeApi
from stitcherd.forges.rate_limit import WRITE_INTERVAL
from stitcherd.reporting.contents import CommentContent, Content, encode_content
from stitcherd.reporting.outbox import SEARCH_DELAY, Outbox
from stitcherd.reporting.sender import Sender
from stitcherd.store import answers, outbox
from stitcherd.store.answers import DesiredAnswer
from stitcherd.store.outbox import TakenAnswer
from stitcherd.store.store import Store
from tests.forges.fake import START, FakeComment, FakeForge, Sent
from tests.forges.harness import FAKES, connected
from tests.stitcherd.reporting.reports import JOB_ID, PLACE, make_report
from tests.stores import open_store

NOW = int(START.timestamp() * 1000)
INSTANCE = "instance"


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now

    def paced(self) -> int:
        """Return the time after the pace of writes has been kept, so that no test waits for that."""
        self.now += WRITE_INTERVAL
        return self.now


class Lost(Struct, frozen=True):
    """A fault of a fake that does what it was asked for, and then answers with another fault."""

    fault: Any


class OutboxHarness(Struct):
    """An outbox and what it needs; `accounts` has the accounts that it was told of.

    `may_move` has the repositories and slots to which an answer may follow its issue.
    """

    store: Store
    fake: FakeForge
    api: ForgeApi
    clock: Clock
    outbox: Outbox
    accounts: dict[str, str]
    may_move: set[tuple[str, str]]

    async def want(self, kind: str, slot: str, content: Content, job: str | None = JOB_ID) -> None:
        """Store what is to be there."""
        wanted = self.wanted(kind, slot, encode_content(content), job=job)
        await self.store.write(answers.put_answers, (wanted,), 0, self.clock.now)

    @staticmethod
    def wanted(
        kind: str, slot: str, desired: str, *, repository: str = PLACE.repository, job: str | None = None
    ) -> DesiredAnswer:
        """Return what is to be at the forge."""
        return DesiredAnswer(
            source=PLACE.source,
            workspace=PLACE.workspace,
            repository=repository,
            slot=slot,
            kind=kind,
            desired=desired,
            job_id=job,
        )

    async def want_comment(self, status: Status = Status.RUNNING, job: str = JOB_ID) -> None:
        """Store that the thread is to have a comment that shows a job in a state."""
        content = CommentContent(thread_kind="issue", thread_number=479, jobs=(make_report(id=job, status=status),))
        await self.want("comment", "comment:issue/479", content, job)

    async def restart(self) -> None:
        """Replace the outbox by that of another daemon."""
        await self.store.write(outbox.recover_answers, PLACE.source, SEARCH_DELAY, self.clock.now)
        self.outbox = make_outbox(self.store, self.api, self.clock, self.accounts, self.may_move)

    async def send_all(self, limit: int = 30) -> None:
        """Send everything, as often as it is due, with the time moved to when it is."""
        for _ in range(limit):
            while await self.outbox.send_next():
                pass
            async with self.store.reading() as db:
                due_at = await outbox.next_due(db, PLACE.source)
            if due_at is None:
                return
            self.clock.now = max(self.clock.now, due_at)
        raise AssertionError(f"still pending: {await self.rows()}")

    async def row(self) -> dict[str, Any]:
        """Return the only answer."""
        (found,) = await self.rows()
        return found

    async def rows(self) -> list[dict[str, Any]]:
        """Return all answers, oldest first."""
        async with self.store.reading() as db:
            return [dict(row) for row in await db.execute_fetchall("SELECT * FROM answers ORDER BY key")]

    async def events(self) -> list[str]:
        """Return the types of all events."""
        async with self.store.reading() as db:
            return [row["type"] for row in await db.execute_fetchall("SELECT type FROM events ORDER BY id")]

    def writes(self) -> list[str]:
        """Return the methods of the requests that were to change something."""
        return [each.method for each in self.fake.log if each.method != "GET"]

    def ours(self, number: int = 479) -> list[FakeComment]:
        """Return the comments of a thread with a mark of ours by our account."""
        return [
            each
            for each in self.fake.thread(number).comments
            if each.author == self.fake.bot and "<!-- stitcher:t:" in each.body
        ]


def make_outbox(
    store: Store, api: ForgeApi, clock: Clock, accounts: dict[str, str], places: set[tuple[str, str]]
) -> Outbox:
    async def note(source: str, account_id: str) -> None:
        accounts[source] = account_id

    async def may_move(_taken: TakenAnswer, repository: str, slot: str) -> bool:
        return (repository, slot) in places

    sender = Sender(api, INSTANCE, lambda text: text.replace("hunter2hunter2", "[secret]"), may_move)
    return Outbox(store, PLACE.source, PLACE.workspace, sender, note, clock)


def understand_lost(fake: FakeForge) -> None:
    """Let a fake know the faults that are Lost."""
    fail = fake._fail

    async def fail_or_lose(request: web.Request, sent: Sent, fault: Any) -> web.StreamResponse:
        if isinstance(fault, Lost):
            fake.answered(sent)
            return await fail(request, sent, fault.fault)
        return await fail(request, sent, fault)

    setattr(fake, "_fail", fail_or_lose)  # noqa: B010 (mypy knows no assignment to a method)


@asynccontextmanager
async def outbox_on(path: Path, kind: str = "github", **options: Any) -> AsyncIterator[OutboxHarness]:
    """Yield an outbox for a fake of a kind of forge; `options` are those of `connected`."""
    fake, clock, accounts, places = FAKES[kind](), Clock(), dict[str, str](), set[tuple[str, str]]()
    understand_lost(fake)
    store = await open_store(path / "stitcher.db")
    try:
        async with connected(fake, kind, now=clock.paced, **options) as api:
            outbox_ = make_outbox(store, api, clock, accounts, places)
            yield OutboxHarness(store, fake, api, clock, outbox_, accounts, places)
    finally:
        await store.close()
