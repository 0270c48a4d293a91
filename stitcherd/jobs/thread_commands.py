"""Answers comments with commands of a thread: approvals, cancel and retry, and questions."""

from collections.abc import Callable

from msgspec import structs

from shared.models import RunnerJob
from stitcherd.errors import Refusal
from stitcherd.jobs.approvals import MAX_READS, Approvals, store_undecided
from stitcherd.policy import CommandResult, ThreadJob
from stitcherd.rails.commands import QUESTIONS, is_approval
from stitcherd.rails.compiled import CompiledRails
from stitcherd.rails.requirements import RuntimeFacts
from stitcherd.rails.thread_commands import JOBS_KEEP_CHANGING, decide_question, decide_transition, refused
from stitcherd.sources.trigger import Command, Trigger
from stitcherd.store import commands
from stitcherd.store.deliveries import NewDelivery, Outcome, StoredDelivery, add_deliveries
from stitcherd.store.store import Store


class ThreadCommands:
    """Carries commands out: `put` queues a job that is retried, `cancel` ends the run of one that is cancelled."""

    def __init__(
        self,
        store: Store,
        approvals: Approvals,
        put: Callable[[RunnerJob], None],
        cancel: Callable[[str], None],
    ) -> None:
        self._store = store
        self._approvals = approvals
        self._put = put
        self._cancel = cancel

    async def answer(
        self, command: Command, trigger: Trigger, rails: CompiledRails, new: NewDelivery, facts: RuntimeFacts
    ) -> tuple[CommandResult, Outcome | None]:
        """Store a comment with a command, and carry that out where it is allowed.

        Where permissions must be asked first, it is stored as not decided yet, or left so. Raises AccountTaken.
        """
        if is_approval(command, rails):
            return await self._approvals.answer(command, trigger, rails, new, facts)
        if command.verb not in QUESTIONS:
            return await self._change_job(command, trigger, rails, new, facts)
        result = decide_question(command, trigger, rails, facts)
        if result.asks:
            return await store_undecided(self._store, result, new)
        return await self._store_decided(result, new)

    async def _change_job(
        self, command: Command, trigger: Trigger, rails: CompiledRails, new: NewDelivery, facts: RuntimeFacts
    ) -> tuple[CommandResult, Outcome | None]:
        """Read the jobs of the thread, decide, and write both only if no job has changed meanwhile.

        Jobs of other sources are not meant: what an account may do at one forge says nothing about another.
        """
        for _ in range(MAX_READS):
            found = await self._jobs_on_thread(new)
            own = [each for each in found if each.source == new.source]
            result = decide_transition(command, trigger, rails, own, facts)
            if result.asks:
                return await store_undecided(self._store, result, new)
            expected = tuple((each.job.id, each.job.status) for each in found)
            try:
                stored = await self._store.write(
                    commands.add_command, new, result, expected, commands.statuses_on_thread
                )
            except Refusal as refusal:  # it is being published, or was never approved
                return await self._store_decided(refused(command, rails, refusal.detail), new)
            if isinstance(stored, commands.ThreadChanged):
                continue
            if isinstance(stored, StoredDelivery) and stored.job is not None:
                if result.action == "cancel":
                    self._cancel(stored.job.id)
                else:
                    self._put(stored.job)
            return result, stored
        return await self._store_decided(refused(command, rails, JOBS_KEEP_CHANGING), new)

    async def _store_decided(self, result: CommandResult, new: NewDelivery) -> tuple[CommandResult, Outcome]:
        """Store a comment that changes no job."""
        return result, await self._store.write_item(
            add_deliveries, (structs.replace(new, decision=result.decision), None)
        )

    async def _jobs_on_thread(self, new: NewDelivery) -> list[ThreadJob]:
        if new.repository is None or new.thread is None:
            return []
        async with self._store.reading() as db:
            return await commands.jobs_on_thread(db, new.workspace, new.repository, new.thread)
