"""Deliveries and dispatches on a real store, queue, settings and rails: the answers, and what is stored then."""

import asyncio
import hmac
import json
import re
import sqlite3
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct
from multidict import CIMultiDict

from shared.api import WebhookResponse
from shared.ids import now_ms
from shared.models import Delivery, RunnerJob, Status, Verdict
from stitcherd.config.load import load_settings
from stitcherd.config.settings import Settings
from stitcherd.daemon import SUPPORTED_KINDS
from stitcherd.errors import Refusal
from stitcherd.jobs import intake as intake_module
from stitcherd.jobs.approvals import Approvals
from stitcherd.jobs.evaluator import Evaluator
from stitcherd.jobs.intake import Intake
from stitcherd.queue import Queue
from stitcherd.rails.live import LiveRails
from stitcherd.store import deliveries, jobs, transitions
from stitcherd.store import events as store_events
from stitcherd.store.revisions import StoredRevisions
from stitcherd.store.sqlite import Store
from stitcherd.store.writer import StorageUnavailable
from tests.stitcherd.rails.contexts import CONTEXT

SETTINGS = """
[daemon]
state_dir = "{place}/state"
[retention]
dedupe = "10d"
[sources.mosaic]
kind = "mosaic"
secrets = [{{file = "{place}/secret"}}]
[sources.hub]
kind = "github"
secrets = [{{file = "{place}/other"}}, {{file = "{place}/secret"}}]
[repositories."acme/*"]
clone = "{place}/{{name}}.git"
[executors.agent]
kind = "command"
argv = ["true"]
"""
RAILS = """
version: 1
mode: enforce
people:
  team: {users: ["mosaic:ann", "hub:octocat"]}
profiles:
  weaver: {capabilities: [repo:read, repo:write], executor: agent}
jobs:
  fix: {profile: weaver, needs: [repo:write], tries: 2, on_interrupt: retry}
triggers:
  - {id: on-command, on: [issue.comment], command: fix, from: [team], job: fix}
"""
SECRET = b"it is a secret"
DAY = 86_400_000


class IntakeHarness(Struct):
    """An intake with all it needs; `queued` are the attempts that the queue passed to a worker."""

    store: Store
    settings: Settings
    rails: LiveRails
    intake: Intake
    queued: list[tuple[str, int]]
    directory: Path

    async def mosaic(self, comment: str = "@mosaic fix it", key: str | None = None, **more: Any) -> WebhookResponse:
        about = {"author": more.pop("author", "ann"), "title": "It leaks"}
        usual = {"issueNumber": "7", "repository": "acme/roof", "action": "commented", "metadata": about}
        body = json.dumps({**usual, "comment": comment, **more}).encode()
        return await self.deliver("mosaic", body, {"X-Mosaic-Delivery": key} if key else {})

    async def deliver(
        self, source: str, body: bytes, headers: Mapping[str, str], *, secret: bytes = SECRET
    ) -> WebhookResponse:
        name = "X-Mosaic-Signature" if source == "mosaic" else "X-Hub-Signature-256"
        signed = CIMultiDict({**headers, name: "sha256=" + hmac.new(secret, body, "sha256").hexdigest()})
        return await self.intake.deliver(self.settings.sources[source], signed, body, form=False)

    async def job(self, answer: WebhookResponse) -> RunnerJob:
        assert answer.job_id
        async with self.store.reading() as db:
            return await jobs.get_job_detail(db, answer.job_id, None)

    async def delivery(self, answer: WebhookResponse) -> Delivery:
        async with self.store.reading() as db:
            return await deliveries.get_delivery(db, answer.delivery_id, None)

    async def stored(self) -> tuple[int, ...]:
        """How many deliveries, bodies, decisions and jobs there are."""
        async with self.store.reading() as db:
            tables = ("deliveries", "delivery_bodies", "decisions", "jobs")
            counts = [await db.execute_fetchall(f"SELECT count(*) FROM {table}") for table in tables]
        return tuple(next(iter(count))[0] for count in counts)

    async def expect_queued(self, *wanted: tuple[str, int]) -> None:
        """Wait until the queue has passed these to its workers, and nothing else."""
        async with asyncio.timeout(20):
            while len(self.queued) < len(wanted):  # noqa: ASYNC110 (they come from another thread)
                await asyncio.sleep(0.005)
        assert self.queued == list(wanted)


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[IntakeHarness]:
    (tmp_path / "stitcherd.toml").write_text(SETTINGS.format(place=tmp_path))
    (tmp_path / "rails.yaml").write_text(RAILS)
    for name, secret in (("secret", SECRET), ("other", b"another secret")):
        (tmp_path / name).write_bytes(secret)
        (tmp_path / name).chmod(0o600)
    (tmp_path / "state").mkdir()
    settings = load_settings(tmp_path, SUPPORTED_KINDS, socket=str(tmp_path / "socket"))
    store = await Store.open(tmp_path / "state" / "stitcher.db")
    rails = LiveRails(tmp_path / "rails.yaml", StoredRevisions(store), CONTEXT)
    await rails.reload()
    queued: list[tuple[str, int]] = []

    async def run(job_id: str, attempt: int) -> None:
        queued.append((job_id, attempt))

    queue = Queue(tmp_path / "state" / "queue.db", 1, run)
    queue.start()
    evaluator = Evaluator(settings)
    approvals = Approvals(store, rails, evaluator, queue.put_job)
    intake = Intake(store, settings, rails, evaluator, approvals, queue)
    yield IntakeHarness(store, settings, rails, intake, queued, tmp_path)
    await queue.stop()
    await store.close()


async def test_an_allowed_delivery_is_stored_and_its_job_queued(harness: IntakeHarness) -> None:
    answer = await harness.mosaic("@mosaic fix the last row", key="d1")
    assert (answer.verdict, answer.status) == (Verdict.ALLOWED, Status.QUEUED)
    assert answer.reason == "trigger on-command"
    job, delivery = await harness.job(answer), await harness.delivery(answer)
    assert (job.type, job.profile, job.executor, job.ref) == ("fix", "weaver", "agent", "main")
    assert (job.repository, job.delivery_id, job.rails_revision) == (
        "acme/roof",
        delivery.id,
        harness.rails.state().revision,
    )
    assert (job.actor, job.tries.max) == ("source:mosaic/ann", 2)
    assert isinstance(job.prompt, str)
    assert job.prompt.startswith("the last row")
    assert "> title by mosaic:ann" in job.prompt
    assert (delivery.verdict, delivery.job_id, delivery.external_id, delivery.secret) == (
        Verdict.ALLOWED,
        job.id,
        "d1",
        1,
    )
    assert delivery.headers == {"X-Mosaic-Delivery": "d1"}
    assert delivery.decision == job.decision
    async with harness.store.reading() as db:
        body = await deliveries.get_body(db, delivery.id, None)
        events = await store_events.events_after(db, 0, 10)
    assert json.loads(body)["comment"] == "@mosaic fix the last row"
    assert len(body) == delivery.body_bytes
    assert [event.type for event, _ in events] == ["rails.reloaded", "delivery.received", "job.created", "job.queued"]
    await harness.expect_queued((job.id, 1))


@pytest.mark.parametrize(
    ("delivered", "verdict", "reason"),
    [
        ({"author": "eve"}, Verdict.DENIED, "mosaic:eve"),
        ({"repository": "other/roof"}, Verdict.DENIED, "matches no"),
        ({"action": "closed"}, Verdict.IGNORED, "no trigger wants"),
        ({"comment": "what is this?"}, Verdict.IGNORED, "no trigger|command"),
        ({"author": "mosaic"}, Verdict.IGNORED, "mosaic itself"),
    ],
)
async def test_a_delivery_that_creates_no_job_is_stored_with_its_reason(
    harness: IntakeHarness, delivered: dict[str, Any], verdict: Verdict, reason: str
) -> None:
    answer = await harness.mosaic(**delivered)
    assert (answer.verdict, answer.job_id, answer.status) == (verdict, None, None)
    delivery = await harness.delivery(answer)
    assert (delivery.verdict, delivery.reason) == (verdict, answer.reason)
    assert delivery.decision
    assert re.search(reason, answer.reason)
    assert await harness.stored() == (1, 1, 1, 0)


@pytest.mark.parametrize(
    ("rails", "reason"), [(RAILS.replace("enforce", "observe"), "would have been allowed"), (None, "no rails")]
)
async def test_without_enforced_rails_every_delivery_is_ignored(
    harness: IntakeHarness, rails: str | None, reason: str
) -> None:
    if rails is None:
        harness.rails.current = None
    else:
        (harness.directory / "rails.yaml").write_text(rails)
        await harness.rails.reload()
    answer = await harness.mosaic()
    assert (answer.verdict, answer.job_id) == (Verdict.IGNORED, None)
    assert reason in answer.reason
    assert await harness.stored() == (1, 1, 1, 0)


async def test_a_delivery_with_a_bad_signature_is_not_stored(harness: IntakeHarness) -> None:
    with pytest.raises(Refusal, match="source mosaic") as refused:
        await harness.deliver("mosaic", b"{}", {}, secret=b"a guess")
    assert refused.value.code == "bad_signature"
    assert await harness.stored() == (0, 0, 0, 0)


async def test_each_secret_of_a_source_is_accepted(harness: IntakeHarness) -> None:
    for number, secret in enumerate((b"another secret", SECRET), 1):
        answer = await harness.deliver(
            "hub", b"{}", {"X-GitHub-Event": "ping", "X-GitHub-Delivery": "p"}, secret=secret
        )
        if number == 1:
            assert (await harness.delivery(answer)).secret == number
        else:
            assert answer.verdict is Verdict.DUPLICATE


@pytest.mark.parametrize(("body", "code"), [(b"{", "bad_request"), (b'{"issueNumber": []}', "invalid")])
async def test_a_delivery_with_a_bad_body_may_be_sent_again_corrected(
    harness: IntakeHarness, body: bytes, code: str
) -> None:
    for _ in range(2):
        with pytest.raises(Refusal) as refused:
            await harness.deliver("mosaic", body, {"X-Mosaic-Delivery": "d1"})
        assert refused.value.code == code
    assert await harness.stored() == (0, 0, 0, 0)
    corrected = await harness.mosaic(key="d1")
    assert corrected.verdict is Verdict.ALLOWED
    again = await harness.deliver("mosaic", body, {"X-Mosaic-Delivery": "d1"})
    assert (again.verdict, again.delivery_id, again.job_id) == (
        Verdict.DUPLICATE,
        corrected.delivery_id,
        corrected.job_id,
    )


async def test_a_repeated_delivery_gets_the_first_answer(harness: IntakeHarness) -> None:
    first = await harness.mosaic(key="d1")
    for again in (
        await harness.mosaic(key="d1"),
        await harness.mosaic(key="d2"),
        await harness.mosaic("else", key="d1"),
    ):
        assert (again.verdict, again.delivery_id, again.job_id) == (Verdict.DUPLICATE, first.delivery_id, first.job_id)
        assert again.status is Status.QUEUED
    assert await harness.stored() == (1, 1, 1, 1)
    await harness.expect_queued((str(first.job_id), 1))


async def test_of_simultaneous_repetitions_one_is_stored(harness: IntakeHarness) -> None:
    answers = await asyncio.gather(*(harness.mosaic(key="d1") for _ in range(12)))
    assert sorted(answer.verdict for answer in answers) == [Verdict.ALLOWED] + [Verdict.DUPLICATE] * 11
    assert len({(answer.delivery_id, answer.job_id) for answer in answers}) == 1
    assert await harness.stored() == (1, 1, 1, 1)


@pytest.mark.parametrize(
    ("later", "key", "again"), [(9 * 60_000, None, True), (11 * 60_000, None, False), (9 * DAY, "d1", True)]
)
async def test_how_long_a_delivery_counts_as_repeated(
    harness: IntakeHarness, monkeypatch: pytest.MonkeyPatch, later: int, key: str | None, again: bool
) -> None:
    first = await harness.mosaic("thanks", key=key)
    now = now_ms()
    monkeypatch.setattr(intake_module, "now_ms", lambda: now + later)
    second = await harness.mosaic("thanks", key=key)
    assert (second.verdict is Verdict.DUPLICATE) == again
    assert (second.delivery_id == first.delivery_id) == again


async def test_after_its_retention_a_delivery_id_may_be_used_again(
    harness: IntakeHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await harness.mosaic(key="d1")
    await harness.store.write(transitions.cancel, str(first.job_id), "uid:0", None, now_ms())
    now = now_ms()
    monkeypatch.setattr(intake_module, "now_ms", lambda: now + 11 * DAY)
    second = await harness.mosaic(key="d1")
    assert second.verdict is Verdict.ALLOWED
    assert second.delivery_id != first.delivery_id
    third = await harness.mosaic(key="d1")
    assert (third.verdict, third.delivery_id) == (Verdict.DUPLICATE, second.delivery_id)


async def test_a_repeated_github_body_is_a_duplicate_under_any_id(
    harness: IntakeHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = (Path(__file__).parents[2] / "deliveries" / "github" / "issue_comment.created.json").read_bytes()
    headers = {"X-GitHub-Event": "issue_comment", "X-GitHub-Delivery": "1", "Cookie": "no", "User-Agent": "hub\udcff"}
    first = await harness.deliver("hub", body, headers)
    now = now_ms()
    monkeypatch.setattr(intake_module, "now_ms", lambda: now + 9 * DAY)
    again = await harness.deliver("hub", body, {**headers, "X-GitHub-Delivery": "2"})
    assert (again.verdict, again.delivery_id) == (Verdict.DUPLICATE, first.delivery_id)
    kept = (await harness.delivery(first)).headers
    assert "Cookie" not in kept
    assert kept["User-Agent"] == "hub\ufffd"


async def test_a_second_command_on_a_thread_returns_the_open_job(harness: IntakeHarness) -> None:
    first = await harness.mosaic(key="d1")
    second = await harness.mosaic("@mosaic fix it, please", key="d2")
    assert (second.verdict, second.job_id) == (Verdict.DUPLICATE, first.job_id)
    assert second.delivery_id != first.delivery_id
    assert "already QUEUED on this thread" in second.reason
    assert await harness.stored() == (2, 2, 2, 1)
    assert (await harness.mosaic(key="d3", issueNumber="8")).verdict is Verdict.ALLOWED


async def test_nothing_is_accepted_while_the_disk_is_full(harness: IntakeHarness) -> None:
    def limit(db: sqlite3.Connection, pages: int) -> None:
        db.execute(f"PRAGMA max_page_count = {pages}")

    await harness.store.write(limit, 1)  # SQLite takes this for: no more than there are now
    long = "@mosaic fix " + "x" * 50_000
    with pytest.raises(StorageUnavailable):
        await harness.mosaic(long, key="d1")
    assert await harness.stored() == (0, 0, 0, 0)
    await harness.store.write(limit, 1_000_000)
    answer = await harness.mosaic(long, key="d1")
    assert answer.verdict is Verdict.ALLOWED
    await harness.expect_queued((str(answer.job_id), 1))


DISPATCH: dict[str, Any] = {
    "job_type": "fix",
    "prompt": "Mend it.",
    "repository": "acme/roof",
    "ref": None,
    "agent_task_id": "t1",
    "workspace": "default",
    "priority": 9,
    "metadata": {"why": "it leaks"},
    "idempotency_key": "k1",
    "actor": "token:ci",
}


async def test_a_repeated_dispatch_returns_the_first_job(harness: IntakeHarness) -> None:
    job, new = await harness.intake.dispatch(**DISPATCH)
    assert new
    assert (job.status, job.priority, job.agent_task_id, job.actor, job.ref) == (
        Status.QUEUED,
        9,
        "t1",
        "token:ci",
        "main",
    )
    assert await harness.intake.dispatch(**DISPATCH) == (job, False)
    with pytest.raises(Refusal) as refused:
        await harness.intake.dispatch(**DISPATCH | {"prompt": "Else."})
    assert refused.value.code == "invalid"
    await harness.expect_queued((job.id, 1))


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"job_type": "fly"}, "invalid"),
        ({"repository": "nobody/roof"}, "denied"),
        ({"workspace": "lab"}, "denied"),
        ({"repository": "acme/../etc"}, "denied"),
    ],
)
async def test_a_refused_dispatch_stores_nothing(harness: IntakeHarness, more: dict[str, str], code: str) -> None:
    with pytest.raises(Refusal) as refused:
        await harness.intake.dispatch(**DISPATCH | more)
    assert refused.value.code == code
    assert await harness.stored() == (0, 0, 0, 0)
