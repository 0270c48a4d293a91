"""What a source with webhooks missed while the daemon was away."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.deliveries import Delivery, Via
from stitcherd.polling import catch_up
from stitcherd.polling.catch_up import OLDEST_MS, CatchUp
from stitcherd.polling.poller import Poller
from stitcherd.store.errors import StorageUnavailable
from tests.forges.fake import START, Answer
from tests.forges.harness import FAKES, connected
from tests.forges.webhooks import comment_webhook, signature
from tests.stitcherd.jobs.intake_harness import SECRET, open_harness
from tests.stitcherd.polling.test_poller import API, MINUTE, RAILS, Clock, Polling

SOURCES = {"github": "hub", "gitea": "tea", "gitlab": "lab"}


class Away(Polling):
    """A source whose daemon ran until now, and what catches up on it."""

    kind: str
    catch_up: CatchUp

    async def missed(self, *, minutes: int = 120) -> list[Delivery]:
        """Return what is taken when the daemon starts again, so many minutes later."""
        before = {each.id for each in await self.deliveries()}
        self.clock.now += minutes * MINUTE
        await self.catch_up.take_missed()
        return [each for each in await self.deliveries() if each.id not in before]


@pytest.fixture(params=FAKES)
async def away(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Away]:
    kind, name = request.param, SOURCES[request.param]
    fake, clock = FAKES[kind](), Clock()
    rails = RAILS.replace("hub:", f"{name}:")
    async with open_harness(tmp_path, rails_text=rails) as intake, connected(fake, kind, now=clock) as api:
        source = intake.settings.sources[name]
        poller = Poller(intake.store, source, api, API, intake.intake.take, clock, Via.CATCH_UP)
        for thread in fake.repository.threads.values():
            thread.created = thread.updated = START - timedelta(days=1)
        opened: Any = Away(intake, fake, poller, clock, kind, CatchUp(intake.store, name, poller, clock))  # type: ignore[arg-type]
        opened.comment("@mosaic fix what is old")
        clock.now += 5 * MINUTE
        yield opened


async def test_nothing_is_taken_at_the_first_start(away: Away) -> None:
    assert await away.missed() == []
    assert away.fake.log == []


async def test_what_was_missed_is_taken_once(away: Away) -> None:
    await away.catch_up.mark()
    away.clock.now += 30 * MINUTE
    comment = away.comment()
    away.event("review_requested", 480, whom=away.fake.bot)
    found = await away.missed()
    assert {(each.trigger, each.via, each.verdict) for each in found} == {
        ("issue.comment", "catch-up", "allowed"),
        ("change.review_requested", "catch-up", "allowed"),
    }
    assert await away.missed() == [], "until it is marked again, it is read again"
    body, headers = comment_webhook(away.kind, comment.author, comment.body, comment=comment.id)
    answer = await away.intake.deliver(SOURCES[away.kind], body, headers | signature(away.kind, body, SECRET))
    assert answer.verdict == "duplicate", "the forge sends it again"


async def test_what_happened_just_before_the_last_mark_is_taken_too(away: Away) -> None:
    away.comment()  # its webhook was late, and found no daemon
    away.clock.now += MINUTE
    await away.catch_up.mark()
    assert [(each.trigger, each.via) for each in await away.missed()] == [("issue.comment", "catch-up")]


async def test_what_a_webhook_told_before_is_not_taken(away: Away) -> None:
    await away.catch_up.mark()
    comment = away.comment()
    body, headers = comment_webhook(away.kind, comment.author, comment.body, comment=comment.id)
    answer = await away.intake.deliver(SOURCES[away.kind], body, headers | signature(away.kind, body, SECRET))
    assert answer.verdict == "allowed"
    assert await away.missed() == []


async def test_what_is_too_old_is_not_taken(away: Away) -> None:
    await away.catch_up.mark()
    away.clock.now += MINUTE
    away.comment("@mosaic fix what is too old")
    assert await away.missed(minutes=OLDEST_MS // MINUTE + 5) == []


async def test_a_list_that_cannot_be_read_is_read_again(
    away: Away, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(catch_up, "READ_AGAIN_SECONDS", 0.0)
    await away.catch_up.mark()
    away.clock.now += MINUTE
    away.comment()
    away.fake.faults.append(Answer(502, {}))
    assert len(await away.missed(minutes=1)) == 1
    away.fake.faults += [Answer(404, {"message": "Not Found"})] * 1000
    away.comment()
    assert await away.missed(minutes=1) == []
    assert "is not taken: comments:octo-org/api" in caplog.text


async def test_an_outage_of_storage_loses_nothing(away: Away, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catch_up, "READ_AGAIN_SECONDS", 0.0)
    await away.catch_up.mark()
    away.clock.now += MINUTE
    away.comment()
    take, faults = away.poller._take, [StorageUnavailable("full"), StorageUnavailable("full")]

    async def failing(*arguments: Any) -> Any:
        if faults:
            raise faults.pop()
        return await take(*arguments)

    monkeypatch.setattr(away.poller, "_take", failing)
    assert len(await away.missed(minutes=1)) == 1
