"""Sends the answers of one source or target, one at a time, each until it is accepted or refused for good."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol

from msgspec import Struct

from shared.ids import new_id, now_ms, short_id
from shared.models import Failure
from stitcherd import crash_points
from stitcherd.forges.models import ForgeAccount
from stitcherd.forges.outcome import CREDENTIAL_CHECK, Done, Hold, Outcome, Rejected, RetryAt
from stitcherd.reporting.sender import Delivered, SendResult
from stitcherd.store import outbox
from stitcherd.store.errors import StorageUnavailable
from stitcherd.store.outbox import TakenAnswer
from stitcherd.store.store import Store

SEARCH_DELAY = 10_000  # milliseconds after a try without a response, before the forge is asked what became of it
LIFETIMES = {"reaction": 3_600_000}  # milliseconds for which a kind of answer is tried
LIFETIME = 86_400_000
BUG_DELAY = 900_000
STORE_RETRY_SECONDS = 1.0
IDLE_SECONDS = 3600.0

log = logging.getLogger(__name__)


class SourceHold(Struct, frozen=True):
    """Nothing can be sent for a source: why, since when and until when, in milliseconds since 1970."""

    reason: str
    since: int
    until: int


class AnswerSender(Protocol):
    """Sends the answers of one source or target; `account` is who acts there, None where nobody is known to."""

    @property
    def account(self) -> ForgeAccount | None: ...  # noqa: D102 (see the class)

    async def probe(self) -> Outcome[ForgeAccount] | None:
        """Ask who acts; None where there is nobody to ask."""
        ...

    async def send(self, taken: TakenAnswer, /) -> SendResult:
        """Send an answer and return what became of it."""
        ...


class Outbox:
    """The outbox of one source or target; `on_account` is told the id of the account that acts, once that is known.

    `hold` is why nothing can be sent now, None if it can.
    """

    def __init__(
        self,
        store: Store,
        source: str,
        workspace: str,
        sender: AnswerSender,
        on_account: Callable[[str, str], Awaitable[None]],
        now: Callable[[], int] = now_ms,
    ) -> None:
        self.source = source
        self.hold: SourceHold | None = None
        self._store = store
        self._workspace = workspace
        self._sender = sender
        self._on_account = on_account
        self._now = now
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Look for due answers now."""
        self._woken.set()

    async def run(self) -> None:
        """Send what is due, until cancelled."""
        probed = False
        while True:
            self._woken.clear()
            try:
                if not probed:
                    probed = True
                    await self._recover(self._now())
                    await self.probe()
                if await self.send_next():
                    continue
                if self.hold is not None and self.hold.until <= self._now():
                    await self.probe()
                wait = await self._seconds_to_next()
            except StorageUnavailable:
                wait = STORE_RETRY_SECONDS
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), wait)

    async def _recover(self, taken_until: int) -> None:
        """Let what is not being sent here, where only one at a time is, be sent again: its result was never stored."""
        await self._store.write(outbox.recover_answers, self.source, SEARCH_DELAY, taken_until)

    async def probe(self) -> None:
        """Ask the forge who acts; hold the source, or end its hold, by its answer."""
        found = await self._sender.probe()
        if found is not None:
            await self._note_contact(found)

    async def send_next(self) -> bool:
        """Send the answer that is due first, and store what became of it; return False if none is due."""
        taken = await self._store.write(outbox.take_answer, self.source, self._now())
        if taken is None:
            return False
        crash_points.reach("answer_taken")
        known = self._sender.account
        try:
            result = await self._sender.send(taken)
        except Exception:  # whatever it was, the others must be sent
            error_id = new_id()
            log.exception("answer %s failed through a bug in Stitcher (%s)", short_id(taken.id), error_id)
            result = RetryAt(self._now() + BUG_DELAY, f"a bug in Stitcher; the daemon's log has it under {error_id}")
        crash_points.reach("answer_sent")
        await self._store_result(taken, result)
        crash_points.reach("answer_stored")
        if self._sender.account is not None and self._sender.account != known:
            await self._on_account(self.source, self._sender.account.id)
        return True

    async def _store_result(self, taken: TakenAnswer, result: SendResult) -> None:
        now = self._now()
        match result:
            case Delivered(remote_id, url, repository, slot):
                await self._store.write(outbox.note_sent, taken, remote_id, url, now, repository=repository, slot=slot)
                await self._note_resumed()
            case Hold():
                await self._store.write(outbox.postpone, taken, result.until, counted=False)
                await self._note_held(result.reason, result.until)
            case RetryAt():
                await self._retry_later(taken, result, now)
            case Failure():
                await self._store.write(outbox.note_failed, taken, result, now)
                if result.code == "redirected":
                    await self._note_held(result.detail, now + CREDENTIAL_CHECK)

    async def _retry_later(self, taken: TakenAnswer, result: RetryAt, now: int) -> None:
        lifetime = LIFETIMES.get(taken.kind, LIFETIME)
        if now - taken.pending_since >= lifetime:
            failure = Failure("gave_up", f"tried {taken.tries} times in {lifetime // 3_600_000} h: {result.reason}")
            await self._store.write(outbox.note_failed, taken, failure, now)
            return
        due_at = max(result.at, taken.taken_at + SEARCH_DELAY) if result.uncertain else result.at
        await self._store.write(outbox.postpone, taken, due_at, uncertain=result.uncertain)

    async def _note_contact(self, found: Outcome[ForgeAccount]) -> None:
        match found:
            case Done(account):
                await self._on_account(self.source, account.id)
                await self._note_resumed()
            case Hold():
                await self._note_held(found.reason, found.until)
            case Rejected():
                await self._note_held(found.detail, self._now() + CREDENTIAL_CHECK)
            case RetryAt() if self.hold is not None:
                self.hold = SourceHold(self.hold.reason, self.hold.since, found.at)

    async def _note_held(self, reason: str, until: int) -> None:
        before, now = self.hold, self._now()
        self.hold = SourceHold(reason, before.since if before else now, until)
        if before is None:
            log.warning("source %s is held: %s", self.source, reason)
            await self._store.write(outbox.note_held, self.source, self._workspace, reason, until, now)

    async def _note_resumed(self) -> None:
        if self.hold is not None:
            self.hold = None
            log.info("source %s can be used again", self.source)
            await self._store.write(outbox.note_resumed, self.source, self._workspace, self._now())

    async def _seconds_to_next(self) -> float:
        async with self._store.reading() as db:
            due_at = await outbox.next_due(db, self.source)
            taken_at = await outbox.first_taken(db, self.source)
        # Who led before may take an answer after this one began, and is ended within that time.
        left_at = None if taken_at is None else taken_at + SEARCH_DELAY
        if left_at is not None and left_at <= self._now():
            await self._recover(self._now() - SEARCH_DELAY)
            return 0.0
        times = [at for at in (due_at, left_at, self.hold.until if self.hold else None) if at is not None]
        return min(IDLE_SECONDS, max(0.0, (min(times) - self._now()) / 1000)) if times else IDLE_SECONDS
