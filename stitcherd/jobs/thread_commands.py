"""Answers comments with commands of a thread: approvals, cancel and retry, and questions."""

from collections.abc import Callable

from shared.models import RunnerJob
from stitcherd.errors import Refusal
from stitcherd.jobs.approvals import Approvals, store_undecided
from stitcherd.policy import CommandResult
from stitcherd.rails.commands import QUESTIONS, is_approval
from stitcherd.rails.compiled import CompiledRails
from stitcherd.rails.requirements import RuntimeFacts
from stitcherd.rails.thread_commands import decide_question, decide_transition, refused
from stitcherd.sources.trigger import Command, Trigger
from stitcherd.store import commands
from stitcherd.store.deliveries import NewDelivery, StoredDelivery
from stitcherd.store.repetitions import RepeatedDelivery
from stitcherd.store.sqlite import Store

JOBS_READ = 100  # of a thread, the newest


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
    ) -> tuple[CommandResult, StoredDelivery | RepeatedDelivery | None]:
        """Store a comment with a command, and carry that out where it is allowed.

        Where permissions must be asked first, it is stored as not decided yet, or left so. Raises AccountTaken.
        """
        if is_approval(command, rails):
            return await self._approvals.answer(command, trigger, rails, new, facts)
        if command.verb in QUESTIONS:
            result = decide_question(command, trigger, rails, facts)
        else:
            result = decide_transition(command, trigger, rails, await self._jobs_on_thread(new), facts)
        if result.asks:
            return await store_undecided(self._store, result, new)
        try:
            stored = await self._store.write(commands.add_command, new, result, None)
        except Refusal as refusal:  # the job changed meanwhile, or is being published
            result = refused(command, rails, refusal.detail)
            stored = await self._store.write(commands.add_command, new, result, None)
        if isinstance(stored, StoredDelivery) and stored.job is not None:
            if result.action == "cancel":
                self._cancel(stored.job.id)
            else:
                self._put(stored.job)
        return result, stored if isinstance(stored, StoredDelivery | RepeatedDelivery) else None

    async def _jobs_on_thread(self, new: NewDelivery) -> list[RunnerJob]:
        if new.repository is None or new.thread is None:
            return []
        async with self._store.reading() as db:
            return await commands.jobs_on_thread(db, new.workspace, new.repository, new.thread, JOBS_READ)
