"""The follower: what events say is stored once with its cursor, whatever is read again, and where a daemon went on."""

import json
from collections.abc import AsyncIterator, Collection
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest
from msgspec import Struct

from shared.api import Answer
from shared.deliveries import WebhookResponse
from shared.ids import now_ms
from shared.models import Failure, Result
from stitcherd.reporting.contents import CommentContent, HelpReport, StatusReport, WhyReport, decode_content
from stitcherd.reporting.follower import Follower
from stitcherd.reporting.planner import AnswerPlanner
from stitcherd.store import answers, transitions
from stitcherd.store.errors import StorageUnavailable
from tests.e2e.webhooks import comment_body
from tests.stitcherd.jobs.intake_harness import RAILS, IntakeHarness, open_harness

REPORTING = RAILS.replace("repo:write], executor", "repo:write, issue:comment, status:set], executor")
REPORT = """
report: {acknowledge: reaction, thread: single-comment, status: "stitcher/{job}", explain_denials_to: [team]}
"""


class Following(Struct):
    """An intake and a follower of its events; `woken` are the sources that there is something to send for."""

    intake: IntakeHarness
    woken: list[str]

    def follower(self, sources: Collection[str] = ("hub",)) -> Follower:
        found = self.intake
        known = found.permissions.known
        planner = AnswerPlanner(found.store, found.settings, sources, found.rails, {}, known, lambda _clone: None)
        return Follower(found.store, (planner,), self.woken.extend)

    async def comment(
        self, text: str, number: int = 479, login: str = "octocat", comment: int = 991, **more: Any
    ) -> WebhookResponse:
        document = json.loads(comment_body(text, issue=number, login=login, repository="acme/roof"))
        document["comment"]["id"] = comment
        document["issue"] |= more
        headers = {"X-GitHub-Event": "issue_comment", "Content-Type": "application/json"}
        return await self.intake.deliver("hub", json.dumps(document).encode(), headers)

    async def answers(self) -> list[Answer]:
        async with self.intake.store.reading() as db:
            return list(reversed((await answers.answer_page(db, answers.AnswerFilter(), 100)).items))

    async def slots(self) -> list[str]:
        return [each.slot for each in await self.answers()]


@pytest.fixture
async def following(tmp_path: Path) -> AsyncIterator[Following]:
    async with open_harness(tmp_path, rails_text=REPORTING + REPORT) as intake:
        yield Following(intake, [])


async def test_a_request_gets_a_reaction_and_a_comment_once(following: Following) -> None:
    follower = following.follower()
    begun = await follower.begin()
    answered = await following.comment("@mosaic fix it")
    after = await follower.follow(begun)
    assert await following.slots() == ["reaction:comment/991/eyes", "comment:issue/479"]
    assert {each.job_id for each in await following.answers()} == {answered.job_id}
    assert following.woken == ["hub"]
    assert await follower.follow(begun) == after  # read again, as after a crash: nothing changes
    assert await follower.follow(after) == after
    assert len(await following.answers()) == 2
    assert following.woken == ["hub"]


async def test_another_daemon_goes_on_where_the_last_one_stored(following: Following) -> None:
    first = following.follower()
    await first.begin()
    await following.comment("@mosaic fix it")  # and the daemon ends before it follows
    second = following.follower()
    await second.follow(await second.begin())
    assert len(await following.answers()) == 2


async def test_what_was_before_the_first_start_is_not_reported(following: Following) -> None:
    await following.comment("@mosaic fix it")
    follower = following.follower()
    await follower.follow(await follower.begin())
    assert await following.answers() == []


async def test_nothing_is_stored_with_half_of_its_events(following: Following, monkeypatch: pytest.MonkeyPatch) -> None:
    follower = following.follower()
    begun = await follower.begin()
    await following.comment("@mosaic fix it")

    def fail(*_: object) -> None:
        raise StorageUnavailable("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(answers, "_set_reported", fail)
        with pytest.raises(StorageUnavailable):
            await follower.follow(begun)
    assert await following.answers() == []
    await follower.follow(begun)
    assert len(await following.answers()) == 2


@pytest.mark.parametrize(
    ("text", "login", "slots"),
    [
        ("nothing for the bot", "octocat", []),
        ("@mosaic fix it", "drive-by", ["reaction:comment/991/-1"]),
        ("@mosaic fxi it", "octocat", ["comment:issue/479"]),
        ("@mosaic fxi it", "drive-by", []),
    ],
)
async def test_who_gets_what(following: Following, text: str, login: str, slots: list[str]) -> None:
    follower = following.follower()
    begun = await follower.begin()
    await following.comment(text, login=login)
    await follower.follow(begun)
    assert await following.slots() == slots


@pytest.mark.parametrize(
    ("verb", "login", "slots"),
    [
        ("help", "octocat", ["reaction:comment/991/eyes", "comment:issue/479"]),
        ("why", "octocat", ["reaction:comment/991/eyes", "comment:issue/479"]),
        ("status", "octocat", ["reaction:comment/991/eyes", "comment:issue/479"]),
        ("help", "drive-by", ["reaction:comment/991/-1"]),
    ],
)
async def test_a_question_is_answered_in_the_comment(
    following: Following, verb: str, login: str, slots: list[str]
) -> None:
    follower = following.follower()
    await following.comment("@mosaic fix it", comment=990)
    begun = await follower.begin()
    await following.comment(f"@mosaic {verb}", login=login)
    await follower.follow(begun)
    assert await following.slots() == slots
    if len(slots) == 1:
        return
    async with following.intake.store.reading() as db:
        text = await answers.desired_at(db, "hub", "acme/roof", "comment:issue/479")
    content = decode_content("comment", text or "")
    assert isinstance(content, CommentContent)
    match content.reply:
        case HelpReport(commands=commands):
            assert commands[0][0] == "approve"
            assert ("fix", "starts a job fix") in commands
        case WhyReport(verdict=verdict, reason=reason):
            assert (verdict, reason) == ("allowed", "trigger on-command")
        case StatusReport(found=found):
            assert found
            assert [job.type for job in content.jobs] == ["fix"]
        case _:
            raise AssertionError(content)


async def reply_to(following: Following, question: str, comment: int) -> tuple[object, list[str]]:
    """Return what a question is answered on the thread."""
    follower = following.follower()
    begun = await follower.begin()
    await following.comment(question, comment=comment)
    await follower.follow(begun)
    async with following.intake.store.reading() as db:
        text = await answers.desired_at(db, "hub", "acme/roof", "comment:issue/479")
    content = decode_content("comment", text or "")
    assert isinstance(content, CommentContent)
    return content.reply, [job.type for job in content.jobs]


async def test_why_is_about_the_newest_request(following: Following) -> None:
    await following.comment("@mosaic fix it")
    again = await following.comment("@mosaic fix it again", comment=992)
    reply, _ = await reply_to(following, "@mosaic why", 993)
    assert isinstance(reply, WhyReport)
    assert (reply.delivery, reply.verdict) == (again.delivery_id, "duplicate")
    denied = await following.comment("@mosaic fix it", login="drive-by", comment=994)
    reply, _ = await reply_to(following, "@mosaic why now", 995)
    assert isinstance(reply, WhyReport)
    assert (reply.delivery, reply.verdict) == (denied.delivery_id, "denied")
    line = 1 + next(number for number, each in enumerate(RAILS.splitlines()) if "team:" in each)
    assert reply.failed == ("who", "hub:drive-by", "team", line)


async def test_nothing_of_another_source_is_told(following: Following) -> None:
    other = await following.intake.mosaic(issueNumber="479")
    assert other.verdict == "allowed"
    assert (await reply_to(following, "@mosaic why", 993))[0] == WhyReport("octocat", ANY)
    for number, command in ((994, "status"), (995, "cancel"), (996, "retry 7f3a0009")):
        assert await reply_to(following, f"@mosaic {command}", number) == (StatusReport("octocat", False, ANY), [])


async def test_a_source_without_a_forge_gets_nothing(following: Following) -> None:
    follower = following.follower(())
    begun = await follower.begin()
    await following.comment("@mosaic fix it")
    await follower.follow(begun)
    assert await following.answers() == []


async def test_the_comment_follows_the_jobs_of_its_thread(following: Following) -> None:
    follower, store = following.follower(), following.intake.store
    begun = await follower.begin()
    first = await following.comment("@mosaic fix it")
    assert first.job_id is not None
    after = await follower.follow(begun)
    await store.write(transitions.start, first.job_id, 1, "me", now_ms())
    failure = Failure("gates_failed", "gate tests failed")
    await store.write(transitions.conclude, first.job_id, (1, "me"), now_ms(), failure)
    after = await follower.follow(after)
    second = await following.comment("@mosaic fix it again", comment=992)
    await follower.follow(after)
    async with store.reading() as db:
        text = await answers.desired_at(db, "hub", "Acme/Roof", "comment:issue/479")
    shown = json.loads(text or "")["jobs"]
    assert [(each["id"], each["status"]) for each in shown] == [
        (second.job_id, "QUEUED"),
        (first.job_id, "FAILED"),
    ]
    assert shown[1]["error"] == "gates_failed: gate tests failed"


@pytest.mark.parametrize("pushed", [True, False])
async def test_what_was_pushed_to_the_forge_gets_a_status_and_a_change(tmp_path: Path, pushed: bool) -> None:
    rails = REPORTING.replace("status:set]", "status:set, change:open]") + REPORT.replace("}\n", ", change: draft}\n")
    async with open_harness(tmp_path, rails_text=rails) as intake:
        if pushed:
            entry = next(each for each in intake.settings.repositories if each.matches("acme/roof"))
            remote = entry.model_copy(update={"clone": "https://forge.example/{owner}/{name}.git"})
            intake.settings = intake.settings.model_copy(update={"repositories": (remote,)})
        following = Following(intake, [])
        follower = following.follower()
        begun = await follower.begin()
        job_id = (await following.comment("@mosaic fix it")).job_id
        assert job_id is not None
        await intake.store.write(transitions.start, job_id, 1, "me", now_ms())
        result = Result("4be1" * 10, 1, 1, 0, "+1 -0 in 1 file")
        await intake.store.write(transitions.conclude, job_id, (1, "me"), now_ms(), result)
        await follower.follow(begun)
        about_commit = [f"change:stitcher/{job_id[-12:]}", f"status:{'4be1' * 10}/stitcher/fix"] if pushed else []
        assert await following.slots() == ["reaction:comment/991/eyes", *about_commit, "comment:issue/479"]
        if pushed:
            async with intake.store.reading() as db:
                text = await answers.desired_at(db, "hub", "acme/roof", about_commit[0])
            content = json.loads(text or "")
            assert (content["base"], content["draft"], content["about"]) == ("main", True, 479)
