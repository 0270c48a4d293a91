"""Comments that approve: decided on what was read, and written only if nothing of that has changed meanwhile."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import pytest

from shared.ids import new_id, now_ms
from shared.models import RunnerJob, Status, Thread, Verdict
from stitcherd.jobs.approvals import MAX_READS, Approvals
from stitcherd.jobs.evaluator import Evaluator
from stitcherd.policy import GuardQuestion
from stitcherd.rails.approvals import KEEPS_CHANGING, NOTHING_WAITS
from stitcherd.rails.live import LiveRails
from stitcherd.rails.load import parse_rails
from stitcherd.rails.requirements import RuntimeFacts
from stitcherd.sources.trigger import Command, Trigger
from stitcherd.store import commands, deliveries, jobs, transitions
from stitcherd.store.revisions import StoredRevisions
from stitcherd.store.store import Store
from tests.stitcherd.rails.contexts import CONTEXT, SMALL
from tests.stitcherd.store.factories import approval_request, deliver, new_delivery, new_job
from tests.stores import open_store

RAILS = parse_rails(SMALL)
THREAD = Thread("issue", 7)
APPROVE = Command("approve", "fine")
COMMENT = Trigger(
    source="forge",
    event="issue_comment",
    sender="forge:ann",
    author="forge:ann",
    repository="acme/roof",
    thread=THREAD,
    commands=(APPROVE,),
)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await open_store(tmp_path / "stitcher.db")
    yield store
    await store.close()


async def wait(store: Store, **more: Any) -> RunnerJob:
    """Store a job that waits on the thread."""
    delivery = new_id()
    guards = (GuardQuestion("stranger", ("crew",)),)
    request = approval_request(guards=guards, asker="forge:bob", rails_digest=RAILS.digest, texts={})
    job = new_job(repository="acme/roof", thread=THREAD, delivery_id=delivery, approval=request, **more)
    return await deliver(store, new_delivery(id=delivery, thread=THREAD), job)


async def answer(
    store: Store, monkeypatch: pytest.MonkeyPatch, changes: list[Callable[[], Awaitable[object]]]
) -> tuple[Any, list[RunnerJob], str]:
    """Approve by comment while, before each write of it, one of the changes happens; return what came of it."""
    write, queued = store.write, list[RunnerJob]()

    async def changing_write(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if function is commands.add_command and changes:
            await changes.pop(0)()
        return await write(function, *args, **kwargs)

    monkeypatch.setattr(store, "write", changing_write)
    rails = LiveRails(Path("rails.yaml"), StoredRevisions(store), CONTEXT)
    approvals = Approvals(store, rails, cast("Evaluator", None), queued.append)
    new = new_delivery(thread=THREAD)
    result, stored = await approvals.answer(APPROVE, COMMENT, RAILS, new, RuntimeFacts())
    assert isinstance(stored, deliveries.StoredDelivery)
    return result.decision, queued, new.id


async def status(store: Store, job: RunnerJob) -> Status:
    async with store.reading() as db:
        return (await jobs.get_job(db, job.id, None)).status


async def test_a_comment_approves_what_waits(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    job = await wait(store)
    decision, queued, _ = await answer(store, monkeypatch, [])
    assert (decision.verdict, [each.id for each in queued]) == (Verdict.ALLOWED, [job.id])
    assert await status(store, job) is Status.QUEUED


async def test_a_comment_is_decided_again_if_what_waits_changes_meanwhile(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await wait(store)

    async def cancel() -> None:
        await store.write(transitions.cancel, job.id, "uid:1000", None, now_ms())

    decision, queued, delivery_id = await answer(store, monkeypatch, [cancel])
    assert (decision.verdict, decision.reason, queued) == (Verdict.IGNORED, NOTHING_WAITS, [])
    assert await status(store, job) is Status.CANCELLED
    async with store.reading() as db:
        stored = await deliveries.get_delivery(db, delivery_id, None)
    assert (stored.verdict, stored.reason, stored.job_id) == (Verdict.IGNORED, NOTHING_WAITS, None)


async def test_a_comment_is_denied_if_what_waits_changes_every_time(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await wait(store)
    others = [lambda number=number: wait(store, type=f"other-{number}") for number in range(MAX_READS)]
    decision, queued, delivery_id = await answer(store, monkeypatch, [*others])
    assert (decision.verdict, decision.reason, queued) == (Verdict.DENIED, KEEPS_CHANGING, [])
    assert await status(store, job) is Status.PENDING
    async with store.reading() as db:
        stored = await deliveries.get_delivery(db, delivery_id, None)
    assert (stored.verdict, stored.job_id) == (Verdict.DENIED, None)
