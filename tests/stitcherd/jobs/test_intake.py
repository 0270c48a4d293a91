"""Deliveries on a real store, queue, settings and rails: the answers, and what is stored then."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

from shared.deliveries import WebhookResponse
from shared.ids import now_ms
from shared.models import Decision, Status, Verdict
from stitcherd.config.settings import RetentionSettings
from stitcherd.errors import Refusal
from stitcherd.jobs import intake as intake_module
from stitcherd.jobs.retention import remove_rows
from stitcherd.store import deliveries, jobs, transitions
from stitcherd.store import events as store_events
from stitcherd.store.db import Db
from stitcherd.store.errors import StorageUnavailable
from tests.stitcherd.jobs.intake_harness import DAY, RAILS, SECRET, IntakeHarness


async def decision_on(harness: IntakeHarness, answer: WebhookResponse) -> Decision:
    decision = (await harness.delivery(answer)).decision
    assert isinstance(decision, Decision)
    return decision


async def test_an_allowed_delivery_is_stored_and_its_job_queued(harness: IntakeHarness) -> None:
    answer = await harness.mosaic("@mosaic fix the last row", key="d1")
    assert (answer.verdict, answer.status) == (Verdict.ALLOWED, Status.QUEUED)
    assert answer.reason == "trigger on-command"
    job, delivery = await harness.job(answer), await harness.delivery(answer)
    assert (job.type, job.profile, job.executor, job.ref) == ("fix", "weaver", "agent", "main")
    assert (job.repository, job.delivery_id, job.rails_digest) == (
        "acme/roof",
        delivery.id,
        harness.rails.state().digest,
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


async def test_a_repeated_delivery_names_a_job_that_is_gone(harness: IntakeHarness) -> None:
    first = await harness.mosaic(key="d1")
    await harness.store.write(transitions.cancel, str(first.job_id), "uid:0", None, 1)
    for _ in range(2):  # its events, then itself
        await remove_rows(harness.store, RetentionSettings(), now_ms() + 91 * 86_400_000)
    again = await harness.mosaic(key="d1")
    assert (again.verdict, again.delivery_id) == (Verdict.DUPLICATE, first.delivery_id)
    assert (again.job_id, again.status) == (first.job_id, None)


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


@pytest.mark.sqlite
async def test_nothing_is_accepted_while_the_disk_is_full(harness: IntakeHarness) -> None:
    def limit(db: Db, pages: int) -> None:
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


async def test_a_delivery_is_decided_under_the_rails_that_another_daemon_has_put_in_force(
    harness: IntakeHarness,
) -> None:
    first = await harness.mosaic(key="d1")
    newer = await harness.put_in_force_elsewhere(RAILS.replace('"mosaic:ann", ', ""))
    answers = await asyncio.gather(*(harness.mosaic(issueNumber=str(number)) for number in (8, 9)))
    assert [answer.verdict for answer in (first, *answers)] == [Verdict.ALLOWED, *[Verdict.DENIED] * 2]
    decisions = [await decision_on(harness, answer) for answer in answers]
    assert [decision.rails_digest for decision in decisions] == [newer.digest] * 2
    assert harness.rails.in_force == newer.digest
    assert (await harness.mosaic(key="d1")).verdict is Verdict.DUPLICATE, "a repetition is not decided again"


async def test_a_command_is_decided_under_the_rails_that_another_daemon_has_put_in_force(
    harness: IntakeHarness,
) -> None:
    job = await harness.job(await harness.mosaic())
    newer = await harness.put_in_force_elsewhere(RAILS.replace('"mosaic:ann", ', ""))
    answer = await harness.mosaic("@mosaic cancel")
    assert answer.verdict is Verdict.DENIED
    assert (await decision_on(harness, answer)).rails_digest == newer.digest
    assert not harness.cancelled
    async with harness.store.reading() as db:
        assert (await jobs.get_job(db, job.id, None)).status is Status.QUEUED
