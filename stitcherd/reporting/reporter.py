"""All of reporting: the follower of the events, and an outbox for each source with a forge and each [[notify]]."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from shared.api import Answer, ReadinessCheck
from shared.ids import format_timestamp, now_ms
from stitcherd.config.settings import Settings
from stitcherd.forges.connections import ForgeConnections
from stitcherd.jobs.accounts import KeptAccounts
from stitcherd.jobs.known_access import KnownAccess
from stitcherd.jobs.redaction import Redaction
from stitcherd.rails.live import LiveRails
from stitcherd.reporting.follower import Follower, Planner
from stitcherd.reporting.notification_planner import NotificationPlanner
from stitcherd.reporting.notification_sender import NotificationSender
from stitcherd.reporting.outbox import AnswerSender, Outbox
from stitcherd.reporting.planner import AnswerPlanner
from stitcherd.reporting.sender import Sender
from stitcherd.store import answers
from stitcherd.store import outbox as store_outbox
from stitcherd.store.errors import StorageUnavailable
from stitcherd.store.outbox import TakenAnswer
from stitcherd.store.store import Store
from stitcherd.supervision import Supervision

RESTART_SECONDS = 30.0  # of a part that fails: what it did at a forge must not be done again and again


class Reporter:
    """Reports at the forges that there are connections to, and to the targets of `[[notify]]`; without any it rests.

    `accounts` are told which accounts act for us, `instance` is that of the store.
    """

    def __init__(
        self,
        store: Store,
        settings: Settings,
        rails: LiveRails,
        forges: ForgeConnections,
        accounts: KeptAccounts,
        known_access: KnownAccess,
        instance: str,
    ) -> None:
        self._store = store
        self._settings = settings
        self._forges = forges
        self._minted: frozenset[bytes] = frozenset()
        self._redaction = Redaction(settings.secret_values)
        self._apis = apis = forges.apis
        self._started_at = format_timestamp(now_ms())
        targets, commands = settings.notify_targets, Path(settings.daemon.state_dir) / "notify"
        senders: dict[str, AnswerSender] = {
            **{name: Sender(api, instance, self._mask, self._may_move) for name, api in apis.items()},
            **{name: NotificationSender(target, self._mask, commands) for name, target in targets.items()},
        }
        workspaces = {name: source.workspace for name, source in settings.sources.items()}
        self._outboxes = {
            name: Outbox(store, name, workspaces.get(name, ""), sender, accounts.keep_own)
            for name, sender in senders.items()
        }
        planners: list[Planner] = []
        if apis:
            find_place = forges.find_place
            planners.append(AnswerPlanner(store, settings, apis, rails, accounts.ids, known_access, find_place))
        if targets:
            planners.append(NotificationPlanner(store, targets))
        self._follower = Follower(store, planners, self._wake)

    async def begin(self) -> None:
        """Let the events from now on be followed, if an earlier daemon has not begun with that.

        What was to be told to targets that are not there any more is given up.
        """
        with suppress(StorageUnavailable):  # it is tried again
            if self._outboxes:
                await self._follower.begin()
            await self._store.write(store_outbox.abandon_notifications, self._settings.notify_targets, now_ms())

    @asynccontextmanager
    async def running(self, supervision: Supervision) -> AsyncIterator[None]:
        """Follow the events and send what is due, while the context is open."""
        task = asyncio.create_task(self._run(supervision)) if self._outboxes else None
        try:
            yield
        finally:
            if task is not None:
                task.cancel()
                await asyncio.wait({task})

    async def _run(self, supervision: Supervision) -> None:
        parts = {"reporting": self._follower.run}
        parts |= {f"the outbox of {name}": outbox.run for name, outbox in self._outboxes.items()}
        async with asyncio.TaskGroup() as tasks:
            for name, run in parts.items():
                tasks.create_task(supervision.keep_running(name, run, RESTART_SECONDS))

    def _mask(self, text: str) -> str:
        """Return a text with the secrets of the settings masked, and the tokens of Apps."""
        minted = self._forges.minted_secrets()
        if minted != self._minted:
            self._minted, self._redaction = minted, Redaction({*self._settings.secret_values, *minted})
        return self._redaction.mask_text(text)

    async def _may_move(self, taken: TakenAnswer, repository: str, slot: str) -> bool:
        """Say whether an answer may follow its issue: to a repository of its workspace, without another one there."""
        entry = self._settings.repository(repository)
        if entry is None or entry.workspace != self._settings.sources[taken.source].workspace:
            return False
        async with self._store.reading() as db:
            return await answers.is_vacant(db, taken.source, repository, slot, taken.id)

    def checks(self) -> tuple[ReadinessCheck, ...]:
        """Return whether each source can be used."""
        found = []
        for name in self._apis:
            hold = self._outboxes[name].hold
            since = format_timestamp(hold.since) if hold else self._started_at
            detail = f"{hold.reason}; tried again at {format_timestamp(hold.until)}" if hold else "not held"
            found.append(ReadinessCheck(f"forge:{name}", hold is None, detail, since))
        return tuple(found)

    async def retry(self, answer: Answer) -> Answer:
        """Send an answer at once, and end a hold of its source; raises Refusal unless it is failed or pending."""
        retried = await self._store.write(store_outbox.retry_answer, answer.id, now_ms())
        with suppress(KeyError):
            self._apis[answer.source].release()
            await self._store.write(store_outbox.end_waits, answer.source, now_ms())
        self._wake((answer.source,))
        return retried

    async def look(self) -> None:
        """Look for answers that are due now: another daemon may have been asked to send them at once."""
        async with self._store.reading(one_statement=True) as db:
            due = await store_outbox.due_sources(db, now_ms())
        self._wake(due)

    def _wake(self, sources: Collection[str]) -> None:
        for name in sources:
            if name in self._outboxes:
                self._outboxes[name].wake()
