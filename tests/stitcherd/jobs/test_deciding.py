"""Deliveries that depend on a permission: the forge is asked after the answer, and each is decided once."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from shared.models import Status, Verdict
from stitcherd.jobs.simulation import SimulationScope, simulate
from stitcherd.store import deliveries, jobs
from tests.forges.fake import Answer, FakeAccount, FakeForge, Fault
from tests.forges.harness import serving
from tests.stitcherd.jobs.deciding_harness import (
    BY_PERMISSION,
    OUTSIDER_TEXT,
    DecidingHarness,
    MovedClock,
    new_fake,
    open_deciding,
)

KINDS = ["github", "gitea", "gitlab"]
OCTOCAT, DRIVE_BY = FakeAccount(2, "octocat"), FakeAccount(3, "drive-by")
DOWN = Answer(502, b"<html>", {"Content-Type": "text/html"})


@pytest.fixture(params=["github"])
async def fake(request: pytest.FixtureRequest) -> AsyncIterator[FakeForge]:
    fake = new_fake(request.param)
    async with serving(fake):
        yield fake


@pytest.fixture
async def harness(tmp_path: Path, fake: FakeForge) -> AsyncIterator[DecidingHarness]:
    kind = type(fake).__name__.removeprefix("Fake").lower()
    async with open_deciding(tmp_path, fake, kind) as harness:
        yield harness


each_kind = pytest.mark.parametrize("fake", KINDS, indirect=True)


@each_kind
async def test_a_member_by_permission_gets_a_job(harness: DecidingHarness) -> None:
    answer = await harness.comment(OCTOCAT)
    account = f"{harness.source}:octocat"
    assert (answer.verdict, answer.job_id, answer.status) == (Verdict.DECIDING, None, None)
    assert answer.reason == f"asking {harness.source} for the permission of {account} on octo-org/api"
    delivery = await harness.decided(answer)
    assert (delivery.verdict, delivery.reason) == (Verdict.ALLOWED, "trigger on-command")
    check = await harness.who(answer)
    assert check.seen
    assert check.seen.startswith(f"{account}#2 has write (asked ")
    assert (check.wanted, check.because) == ("team (permission write)", "permission")
    assert len(harness.asked()) == 1
    (decided,) = await harness.events("delivery.decided")
    assert decided == {
        "deliveryId": answer.delivery_id,
        "source": harness.source,
        "verdict": "allowed",
        "reason": "trigger on-command",
        "jobId": delivery.job_id,
    }
    await harness.intake.expect_queued((str(delivery.job_id), 1))


@each_kind
async def test_an_account_without_the_permission_is_denied(harness: DecidingHarness) -> None:
    harness.fake.repository.levels[3] = "read"
    delivery = await harness.decided(await harness.comment(DRIVE_BY))
    assert (delivery.verdict, delivery.job_id) == (Verdict.DENIED, None)
    assert delivery.reason == f"who: {harness.source}:drive-by is in none of team"


@each_kind
async def test_an_account_that_the_forge_does_not_know_there_is_denied(harness: DecidingHarness) -> None:
    answer = await harness.comment(DRIVE_BY)
    assert (await harness.decided(answer)).verdict is Verdict.DENIED
    check = await harness.who(answer)
    assert check.seen
    assert " has none (asked " in check.seen


@pytest.mark.parametrize(
    ("sender", "association", "verdict"),
    [(DRIVE_BY, "OWNER", Verdict.DENIED), (OCTOCAT, "NONE", Verdict.ALLOWED)],  # members may be private
)
async def test_what_a_webhook_says_of_its_sender_counts_for_nothing(
    harness: DecidingHarness, sender: FakeAccount, association: str, verdict: Verdict
) -> None:
    answer = await harness.comment(sender, association=association)
    assert (await harness.decided(answer)).verdict is verdict


@pytest.mark.parametrize("fake", ["github", "gitea"], indirect=True)
async def test_a_login_that_belongs_to_another_account_is_denied(harness: DecidingHarness) -> None:
    delivery = await harness.decided(await harness.comment(FakeAccount(77, "octocat")))
    assert delivery.verdict is Verdict.DENIED
    assert delivery.reason == "who: account_changed: octocat has the id 2, not 77"


@pytest.mark.parametrize("fake", ["github", "gitea"], indirect=True)
async def test_a_renamed_account_is_the_same(harness: DecidingHarness) -> None:
    delivery = await harness.decided(await harness.comment(FakeAccount(2, "octopus")))
    assert delivery.verdict is Verdict.ALLOWED


@each_kind
@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Answer(403, {"message": "Must have push access"}), "permission_unknown: {kind} answered 403: Must have push"),
        (Answer(401, {"message": "Bad credentials"}), "permission_unknown: the token is not accepted"),
        (Answer(422, {"message": "no"}), "permission_unknown: {kind} answered 422"),
    ],
)
async def test_what_the_forge_refuses_to_tell_is_denied_at_once(
    harness: DecidingHarness, fault: Fault, told: str
) -> None:
    harness.fake.faults = [fault]
    delivery = await harness.decided(await harness.comment(OCTOCAT))
    assert delivery.verdict is Verdict.DENIED
    assert delivery.reason.startswith("who: " + told.format(kind=harness.kind))
    again = await harness.decided(await harness.comment(OCTOCAT, number=480))
    refused = isinstance(fault, Answer) and fault.status == 401  # nothing is sent with such a token for a while
    assert again.verdict is (Verdict.DENIED if refused else Verdict.ALLOWED), "errors are not kept"


@pytest.mark.parametrize("fake", ["gitea"], indirect=True)
async def test_a_bot_that_is_no_administrator_is_told_so(harness: DecidingHarness) -> None:
    harness.fake.repository.levels[1] = "write"
    delivery = await harness.decided(await harness.comment(OCTOCAT))
    assert delivery.verdict is Verdict.DENIED
    assert delivery.decision
    assert delivery.decision.remedy
    assert "an administrator of the repository" in delivery.decision.remedy.text


@each_kind
@pytest.mark.parametrize("fault", [DOWN, Answer(429, {}, {"Retry-After": "20"}), b""])
async def test_a_forge_that_is_away_for_a_moment_is_asked_again(harness: DecidingHarness, fault: Fault) -> None:
    harness.fake.faults = [fault, fault]
    before = harness.clock()
    delivery = await harness.decided(await harness.comment(OCTOCAT))
    assert delivery.verdict is Verdict.ALLOWED
    assert harness.clock() - before >= 4_000
    assert len(await harness.events("job.created")) == 1


@each_kind
async def test_after_its_patience_a_delivery_is_denied(harness: DecidingHarness) -> None:
    harness.fake.faults = [DOWN] * 50
    before = harness.clock()
    delivery = await harness.decided(await harness.comment(OCTOCAT))
    assert delivery.verdict is Verdict.DENIED
    assert delivery.reason == f"who: forge_unreachable: {harness.kind} answered 502"
    assert 600_000 <= harness.clock() - before < 620_000
    assert len(harness.asked()) < 10
    assert await harness.events("job.created") == []


@each_kind
async def test_many_deliveries_of_an_account_ask_once_a_minute(harness: DecidingHarness) -> None:
    answers = await asyncio.gather(*(harness.comment(OCTOCAT, number=number) for number in range(1, 101)))
    found = [await harness.decided(each) for each in answers]
    assert {each.verdict for each in found} == {Verdict.ALLOWED}
    assert len(harness.asked()) == 1
    harness.clock.pass_time(59)
    assert (await harness.comment(OCTOCAT, number=200)).verdict is Verdict.ALLOWED, "it is known before the answer"
    harness.fake.repository.levels[2] = "read"
    harness.clock.pass_time(1)
    revoked = await harness.comment(OCTOCAT, number=201)
    assert (await harness.decided(revoked)).verdict is Verdict.DENIED
    assert len(harness.asked()) == 2


async def test_another_repository_is_another_question(harness: DecidingHarness) -> None:
    await harness.decided(await harness.comment(OCTOCAT))
    await harness.decided(await harness.comment(OCTOCAT, repository="octo-org/web"))
    assert [path.split("/collaborators")[0] for path in harness.asked()] == [
        "/repos/octo-org/api",
        "/repos/octo-org/web",
    ]


async def test_a_change_of_members_makes_the_forge_be_asked_again(harness: DecidingHarness) -> None:
    await harness.decided(await harness.comment(OCTOCAT))
    harness.fake.repository.levels[2] = "read"
    await harness.event("member", repository={"full_name": "Octo-Org/API"})
    assert (await harness.decided(await harness.comment(OCTOCAT, number=480))).verdict is Verdict.DENIED


async def test_an_answer_from_before_a_change_of_members_is_not_used(
    harness: DecidingHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    api, revoked = harness.api, asyncio.Event()
    perform = api.perform

    async def slow(*arguments: Any) -> Any:
        outcome: Any = await perform(*arguments)
        if not revoked.is_set():
            harness.fake.repository.levels[2] = "read"
            await harness.event("membership")
            revoked.set()
        return outcome

    monkeypatch.setattr(api, "perform", slow)
    delivery = await harness.decided(await harness.comment(OCTOCAT))
    assert (delivery.verdict, len(harness.asked())) == (Verdict.DENIED, 2)


async def test_deliveries_on_one_thread_are_decided_in_their_order(harness: DecidingHarness) -> None:
    first = await harness.comment(DRIVE_BY)
    second = await harness.comment(OCTOCAT)
    third = await harness.comment(OCTOCAT, "@mosaic fix it again")
    assert {first.verdict, second.verdict, third.verdict} == {Verdict.DECIDING}
    job = (await harness.decided(second)).job_id
    repeated = await harness.decided(third)
    assert (repeated.verdict, repeated.job_id) == (Verdict.DUPLICATE, job)
    assert (await harness.decided(first)).verdict is Verdict.DENIED, "an outsider's comment hides no member's"
    assert len(await harness.events("job.created")) == 1


async def test_a_redelivery_of_an_undecided_delivery_is_a_duplicate(harness: DecidingHarness) -> None:
    harness.fake.faults = [0.05]
    first = await harness.comment(OCTOCAT)
    again = await harness.comment(OCTOCAT)
    assert (again.verdict, again.delivery_id) == (Verdict.DUPLICATE, first.delivery_id)


async def test_the_next_daemon_decides_what_one_left(tmp_path: Path, fake: FakeForge) -> None:
    clock = MovedClock()
    fake.faults = [0.3]
    async with open_deciding(tmp_path, fake, clock=clock) as harness:
        answer = await harness.comment(OCTOCAT)
        assert (await harness.intake.delivery(answer)).verdict is Verdict.DECIDING
    async with open_deciding(tmp_path, fake, clock=clock) as harness:
        delivery = await harness.decided(answer)
        assert delivery.verdict is Verdict.ALLOWED
        assert len(await harness.events("delivery.decided")) == 1
        job = await harness.job(delivery)
        assert (job.status, job.actor) == (Status.QUEUED, "source:hub/octocat")
    asked = len(fake.log)
    async with open_deciding(tmp_path, fake, clock=clock) as harness:
        assert (await harness.comment(OCTOCAT, number=480)).verdict is Verdict.ALLOWED, "what was told is kept"
    assert len(fake.log) == asked


async def test_a_delivery_is_decided_by_the_rails_in_force_then(harness: DecidingHarness) -> None:
    harness.fake.faults = [0.1]
    answer = await harness.comment(OCTOCAT)
    await harness.change_rails(BY_PERMISSION.replace("permission: write", "permission: admin"))
    assert (await harness.decided(answer)).verdict is Verdict.DENIED


@each_kind
async def test_both_authors_are_asked_where_a_guard_looks_at_them(tmp_path: Path, fake: FakeForge) -> None:
    kind = type(fake).__name__.removeprefix("Fake").lower()
    async with open_deciding(tmp_path, fake, kind, rails=BY_PERMISSION + OUTSIDER_TEXT) as harness:
        answer = await harness.comment(OCTOCAT, author=DRIVE_BY)
        delivery = await harness.decided(answer)
        assert (delivery.verdict, len(harness.asked())) == (Verdict.WAITING, 2)
        assert [each["jobId"] for each in await harness.events("delivery.decided")] == [delivery.job_id]


async def test_an_approval_by_permission_is_asked_too(tmp_path: Path, fake: FakeForge) -> None:
    fake.repository.levels |= {4: "admin", 5: "write"}
    fake.accounts |= {4: FakeAccount(4, "chief"), 5: FakeAccount(5, "writer")}
    async with open_deciding(tmp_path, fake, rails=BY_PERMISSION + OUTSIDER_TEXT) as harness:
        waiting = await harness.decided(await harness.comment(OCTOCAT, author=DRIVE_BY))
        no = await harness.comment(fake.accounts[5], "@mosaic approve", author=DRIVE_BY)
        assert no.verdict is Verdict.DECIDING
        assert (await harness.decided(no)).verdict is Verdict.DENIED
        yes = await harness.comment(fake.accounts[4], "@mosaic approve", author=DRIVE_BY)
        assert yes.reason == "asking hub for the permission of hub:chief on octo-org/api"
        approved = await harness.decided(yes)
        assert (approved.verdict, approved.job_id) == (Verdict.ALLOWED, waiting.job_id)
        await harness.intake.expect_queued((str(waiting.job_id), 1))


async def test_a_replay_asks_and_a_dry_run_does_not(harness: DecidingHarness) -> None:
    fake, intake = harness.fake, harness.intake.intake
    fake.faults = [Answer(403, {"message": "Must have push access"})]
    denied = await harness.decided(await harness.comment(OCTOCAT))
    assert denied.verdict is Verdict.DENIED
    asked = len(fake.log)
    async with harness.intake.store.reading() as db:
        body = await deliveries.get_body(db, denied.id, None)
    answer, decision = await intake.rehearse(denied, body, "uid:1000")
    assert (answer.verdict, decision.verdict) == (Verdict.DECIDING, Verdict.DECIDING)
    assert (await intake.explain_again(denied, body)).verdict is Verdict.DECIDING
    assert len(fake.log) == asked
    replayed = await harness.decided(await intake.replay(denied, body, "uid:1000"))
    assert (replayed.verdict, replayed.replay_of) == (Verdict.ALLOWED, denied.id)
    async with harness.intake.store.reading() as db:
        assert (await jobs.get_job(db, str(replayed.job_id), None)).actor == "uid:1000"


async def test_a_simulation_asks_nothing_and_skips_what_depends_on_a_permission(harness: DecidingHarness) -> None:
    intake = harness.intake
    assert intake.rails.current
    await harness.decided(await harness.comment(OCTOCAT))
    asked = len(harness.fake.log)
    known = await simulate(intake.store, intake.evaluator, intake.rails.current, SimulationScope(10))
    assert (known.deliveries, known.changed, known.skipped) == (1, (), {})
    harness.clock.pass_time(60)
    forgotten = await simulate(intake.store, intake.evaluator, intake.rails.current, SimulationScope(10))
    assert (forgotten.deliveries, forgotten.changed, forgotten.skipped) == (0, (), {"permissionUnknown": 1})
    assert len(harness.fake.log) == asked
