"""Repositories that a source is asked about because a pattern selects them of those that its forge lists."""

from collections.abc import AsyncIterator
from copy import deepcopy
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.deliveries import Via
from stitcherd.polling import catch_up, discovery, repositories
from stitcherd.polling.catch_up import CatchUp
from stitcherd.polling.discovery import LIST_SECONDS
from stitcherd.polling.poller import Poller
from stitcherd.polling.repositories import polled_repositories
from stitcherd.store.cursors import read_cursors
from tests.forges.fake import START, Answer, FakeRepository
from tests.forges.harness import FAKES, connected
from tests.stitcherd.jobs.intake_harness import open_harness
from tests.stitcherd.polling.test_catch_up import SOURCES
from tests.stitcherd.polling.test_poller import MINUTE, RAILS, Clock, Polling

LISTING = int(LIST_SECONDS * 1000)


class Listed(Polling):
    """A source whose patterns are `octo-org/*` and `acme/*`, and how to start its poller again."""

    build: Any

    def add(self, name: str, **more: Any) -> FakeRepository:
        """Add a repository like that of the fake, without events."""
        added = deepcopy(self.fake.repository)
        added.id, added.name, added.events = 100 + len(self.fake.repositories), name, []
        for thread in added.threads.values():
            thread.comments.clear()
        for key, value in more.items():
            setattr(added, key, value)
        self.fake.repositories[added.id] = added
        return added

    def write(self, repository: FakeRepository, text: str = "@mosaic fix") -> None:
        """Let a member of the team comment in a repository, now."""
        comment = self.fake.add_comment(repository.threads[479], self.fake.accounts[2], text)
        comment.created = comment.updated = repository.threads[479].updated = self.time()

    def fault(self) -> tuple[str, int] | None:
        """Return why something cannot be read."""
        return self.poller.fault

    async def taken(self, *, after: int = MINUTE) -> list[str | None]:
        """Poll when so many milliseconds have passed; return the repositories of the new deliveries."""
        before = {each.id for each in await self.deliveries()}
        self.clock.now += after
        await self.poller.poll()
        return [each.repository for each in await self.deliveries() if each.id not in before]


@pytest.fixture(params=FAKES)
async def listed(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Listed]:
    kind, name = request.param, SOURCES[request.param]
    fake, clock = FAKES[kind](), Clock()
    for thread in fake.repository.threads.values():
        thread.created = thread.updated = START - timedelta(days=1)
    rails = RAILS.replace("hub:", f"{name}:")
    async with open_harness(tmp_path, rails_text=rails) as intake, connected(fake, kind, now=clock) as api:
        source = intake.settings.sources[name].model_copy(update={"pull": 60.0})

        def build(via: Via = Via.PULL, **settings: Any) -> Poller:
            polled = polled_repositories(intake.settings.model_copy(update=settings), source, lambda _clone: True)
            return Poller(intake.store, source, api, polled, intake.intake.take, clock, via)

        opened = Listed(intake, fake, build(), clock, build)  # type: ignore[arg-type]
        opened.write(fake.repository, "@mosaic fix what is old")
        opened.clock.now += 5 * MINUTE
        yield opened


async def test_the_repositories_of_a_pattern_are_asked_about(listed: Listed) -> None:
    others = [listed.add("acme/roof"), listed.add("elsewhere/x"), listed.add("acme/old", archived=True)]
    listed.fake.page_size = 1
    assert await listed.taken() == [], "what happened before the first listing is not new"
    listed.fake.page_size = 100
    for each in (listed.fake.repository, *others):
        listed.write(each)
    assert sorted(map(str, await listed.taken())) == ["acme/roof", "octo-org/api"]
    assert await listed.taken() == []


async def test_what_happens_in_a_new_repository_before_it_is_listed_is_taken(listed: Listed) -> None:
    assert await listed.taken() == []
    new = listed.add("acme/new")
    listed.write(new)
    assert await listed.taken(after=LISTING // 2) == [], "it is not listed yet"
    assert await listed.taken(after=LISTING) == ["acme/new"]
    assert await listed.taken(after=LISTING) == []


async def test_a_repository_that_is_gone_is_not_asked_about(listed: Listed) -> None:
    new = listed.add("acme/new")
    assert await listed.taken() == []
    del listed.fake.repositories[new.id]
    await listed.taken()
    assert listed.fault() is not None
    await listed.taken(after=LISTING)
    assert listed.fault() is None
    listed.fake.log.clear()
    await listed.taken()
    assert listed.fake.log, "the others are asked about"
    assert not [each for each in listed.fake.log if "acme" in each.path]


async def test_a_listing_that_fails_holds_nothing_up(listed: Listed) -> None:
    assert await listed.taken() == []
    listed.write(listed.fake.repository)
    listed.fake.faults.append(Answer(403, {"message": "Forbidden"}))
    assert await listed.taken(after=LISTING) == ["octo-org/api"]
    assert listed.fault() is not None
    async with listed.intake.store.reading() as db:
        cursors = await read_cursors(db, listed.poller._source.name)
    assert cursors["repositories"].error is not None
    await listed.taken(after=LISTING)
    assert listed.fault() is None


async def test_a_restart_goes_on_where_it_was(listed: Listed) -> None:
    listed.add("acme/roof")
    assert await listed.taken() == []
    new = listed.add("acme/new")
    listed.write(new)
    listed.write(listed.fake.repository)
    listed.poller = listed.build()
    assert sorted(map(str, await listed.taken())) == ["acme/new", "octo-org/api"], "it lists at each start"


async def test_the_cursor_of_a_listing_without_patterns_is_not_waited_for(listed: Listed) -> None:
    assert await listed.taken() == []
    listed.poller = listed.build(repositories=())
    listed.clock.now += 2 * LISTING
    assert await listed.poller.poll() == listed.clock.now + MINUTE


async def test_a_new_pattern_starts_now(listed: Listed) -> None:
    roof = listed.add("acme/roof")
    settings = listed.intake.settings
    listed.poller = listed.build(repositories=tuple(each for each in settings.repositories if each.pattern != "acme/*"))
    assert await listed.taken() == []
    listed.write(roof)
    listed.clock.now += 5 * MINUTE
    listed.poller = listed.build()
    assert await listed.taken() == []
    listed.write(roof)
    assert await listed.taken() == ["acme/roof"]


async def test_no_more_than_a_number_of_repositories_is_polled(
    listed: Listed, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(repositories, "LISTED_MAX", 1)
    monkeypatch.setattr(discovery, "PAGES_MAX", 2)
    listed.add("acme/roof")
    listed.fake.page_size = 1
    listed.add("acme/shed")
    await listed.taken()
    assert "are polled" in caplog.text
    assert "only the first 2 repositories are listed" in caplog.text


async def test_what_was_missed_is_taken_from_all_repositories(
    listed: Listed, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(catch_up, "READ_AGAIN_SECONDS", 0.0)
    roof = listed.add("acme/roof")
    name = listed.poller._source.name
    away = CatchUp(listed.intake.store, name, listed.build(Via.CATCH_UP), listed.clock)
    await away.mark()
    listed.clock.now += 5 * MINUTE
    listed.write(roof)
    listed.clock.now += 5 * MINUTE
    listed.fake.faults.append(Answer(403, {"message": "Forbidden"}))  # of the listing
    await away.take_missed()
    assert [(each.repository, each.via) for each in await listed.deliveries()] == [("acme/roof", "catch-up")]
    listed.fake.faults += [Answer(403, {"message": "Forbidden"})] * 100
    await away.take_missed()
    assert "repositories cannot be read" in caplog.text.rpartition("is not taken: ")[2]
