"""A fake of GitHub that is called in this process: no connection has to wait, and a dead daemon reaches nothing."""

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Self, TypeVar, cast

import msgspec
from multidict import CIMultiDict

from stitcherd.forges import FORGES
from stitcherd.forges.api import ForgeApi
from stitcherd.forges.base import Call, Request, RequestFailed, Response
from stitcherd.forges.client import ForgeClient
from stitcherd.forges.credentials import FixedToken
from stitcherd.forges.outcome import Outcome, RetryAt
from stitcherd.reporting.follower import Follower
from stitcherd.reporting.outbox import SEARCH_DELAY, Outbox
from stitcherd.reporting.planner import AnswerPlanner
from stitcherd.reporting.sender import Sender
from stitcherd.store import outbox
from stitcherd.store.outbox import TakenAnswer
from tests.forges.fake import FakeAccount, FakeThread, Sent
from tests.forges.fake_github import FakeGitHub
from tests.forges.harness import TOKEN, Clock
from tests.stitcherd.jobs.deciding_harness import MovedClock
from tests.stitcherd.jobs.intake_harness import IntakeHarness

Value = TypeVar("Value")


class PresentGitHub(FakeGitHub):
    """A fake whose time is the present, as is that of the daemon."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class DirectClient:
    """What a client of a forge sends, given to a fake; `loses_next`: the next response to a write does not arrive."""

    def __init__(self, is_dead: Callable[[], bool]) -> None:
        self.forge = FORGES["github"]
        self.fake = PresentGitHub()
        self.loses_next = False
        self._is_dead = is_dead

    async def send(self, request: Request, token: str | None) -> Response:
        if self._is_dead():
            raise RequestFailed("unreachable", "the daemon is dead")
        inside = request.repository is not None and not request.absolute
        prefix = self.forge.repository_path(request.repository) if request.repository and inside else ""
        body = None if request.body is None else json.loads(msgspec.json.encode(request.body))
        sent = Sent(request.method, f"{prefix}{request.path}", dict(request.query), token, body)
        answer = self.fake.answered(sent)
        if self.loses_next and request.writes:
            self.loses_next = False
            raise RequestFailed("unreachable", "the connection was lost", uncertain=True)
        content: Any = None if answer.content is None else json.loads(json.dumps(answer.content))
        return Response(answer.status, CIMultiDict(answer.headers), content)


class DirectForge(ForgeApi):
    """The API of a forge: everybody may write, and nothing is told while it is `away`."""

    def __init__(self, clock: MovedClock, is_dead: Callable[[], bool]) -> None:
        self.client = DirectClient(is_dead)
        super().__init__(cast(ForgeClient, self.client), FixedToken(self.client.forge, TOKEN), Clock())
        self.away = False
        self._clock = clock

    async def perform(self, call: Call[Value], tries: int = 1) -> Outcome[Value]:
        if self.away:
            return RetryAt(self._clock.now + 5000, "github answered 502")
        return await super().perform(call, tries)

    def add_thread(self, number: int, author: FakeAccount) -> None:
        """Have a thread with this number, if there is none yet."""
        self.client.fake.repository.threads.setdefault(number, FakeThread(number, "issue", author))

    def comments(self) -> dict[int, list[str]]:
        """Return what our comments say, by thread."""
        fake = self.client.fake
        return {
            number: [each.body for each in thread.comments if each.author == fake.bot]
            for number, thread in fake.repository.threads.items()
        }


class Reporting:
    """What a daemon says at a forge: planned and sent as far as a test lets it, as if each were due at once."""

    def __init__(self, intake: IntakeHarness, forge: DirectForge) -> None:
        self._store = intake.store
        self._clock = MovedClock()
        self._cursor = 0
        planner = AnswerPlanner(
            intake.store, intake.settings, ["hub"], intake.rails, {}, intake.permissions.known, lambda _clone: None
        )
        self._follower = Follower(intake.store, [planner], lambda _sources: None)
        sender = Sender(forge, "instance", lambda text: text, _may_not_move)
        self._outbox = Outbox(intake.store, "hub", "default", sender, _ignore_account, self._clock)

    @classmethod
    async def begin(cls, intake: IntakeHarness, forge: DirectForge) -> Self:
        """Take over what an earlier daemon was sending."""
        reporting = cls(intake, forge)
        reporting._cursor = await reporting._follower.begin()
        await intake.store.write(outbox.recover_answers, "hub", SEARCH_DELAY, sys.maxsize)
        return reporting

    async def plan(self) -> None:
        """Follow all events that there are."""
        before = None
        while before != self._cursor:
            before, self._cursor = self._cursor, await self._follower.follow(self._cursor)

    async def send_next(self) -> bool:
        """Send what is due first, once it is due; return False if there is nothing to send."""
        async with self._store.reading() as db:
            due_at = await outbox.next_due(db, "hub")
        self._clock.now = max(self._clock.now, due_at or 0)
        return due_at is not None and await self._outbox.send_next()


async def _may_not_move(_taken: TakenAnswer, _repository: str, _slot: str) -> bool:
    return False


async def _ignore_account(_source: str, _account_id: str) -> None:
    """The intake learns of no account: nobody comments as ours."""
