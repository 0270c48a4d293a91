"""The screen of all events, by keys."""

import pytest

from tests.tui.fake_daemon import FakeDaemon
from tests.tui.screens.screen import MakeApp, screen_text, stitcher_app, wait_for_text, wait_until
from tui.screens.job import JobScreen
from tui.screens.jobs import JobsScreen
from tui.screens.tail import TailScreen
from tui.widgets.events import EventList


async def test_the_tail_begins_with_the_past_and_goes_on(daemon: FakeDaemon, make_app: MakeApp) -> None:
    job = daemon.job(7)
    for number in range(50):
        daemon.commit_event("job.started", job, attempt=number)
    async with make_app().run_test(size=(120, 20)) as pilot:
        await pilot.press("t")
        await wait_for_text(pilot, "attempt=49")
        daemon.commit_event("gate.failed", job, name="\x1b[2Jtests")
        await wait_for_text(pilot, "gate.failed       name=\\x1b[2Jtests")
        assert screen_text(pilot.app).count("attempt=49") == 1


async def test_the_tail_is_paused(daemon: FakeDaemon, make_app: MakeApp) -> None:
    job = daemon.job(7)
    daemon.commit_event("job.created", job)
    async with make_app().run_test(size=(120, 20)) as pilot:
        await pilot.press("t")
        await wait_for_text(pilot, "job.created")
        await pilot.press("p")
        for number in range(17):
            daemon.commit_event("job.started", job, attempt=number)
        await wait_for_text(pilot, "+17 new")
        assert "attempt" not in screen_text(pilot.app)
        await pilot.press("p")
        await wait_for_text(pilot, "attempt=16", "18 events")


async def test_the_tail_is_narrowed_and_searched(daemon: FakeDaemon, make_app: MakeApp) -> None:
    job = daemon.job(7)
    for number in range(100):
        daemon.commit_event("job.started" if number % 10 else "gate.failed", job, count=number)
    async with make_app().run_test(size=(120, 20)) as pilot:
        await pilot.press("t")
        await wait_for_text(pilot, "100 events")
        await pilot.press("ampersand", *"Gate", "enter")
        await wait_for_text(pilot, "10 of 100")
        daemon.commit_event("job.completed", job)
        daemon.commit_event("gate.failed", job, count=777)
        await wait_for_text(pilot, "11 of 102")
        await pilot.press("slash", *"count=3", "enter")
        events = pilot.app.screen.query_one(EventList)
        await wait_until(pilot, lambda: events.event and events.event.payload == {"count": 30})
        await wait_for_text(pilot, "1 of 1 ")
        await pilot.press("N")
        await wait_for_text(pilot, "count=3 is not above")
        await pilot.press("escape")
        await wait_for_text(pilot, "102 events", absent="only:")
        assert events.event
        assert events.event.payload == {"count": 30}
        await pilot.press("n", "n")
        await wait_for_text(pilot, "4 of 11")
        await pilot.press("slash", *["backspace"] * 7, *"nowhere", "enter")
        await wait_for_text(pilot, "nowhere is not below")
        await pilot.press("escape")
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, JobsScreen))


async def test_the_tail_forgets(daemon: FakeDaemon, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.widgets.events.MAX_EVENTS", 100)
    async with make_app().run_test(size=(120, 20)) as pilot:
        await pilot.press("t")
        await wait_until(pilot, lambda: stitcher_app(pilot).session.connection.live)
        for number in range(1000):
            daemon.commit_event("job.started", count=number)
        events = pilot.app.screen.query_one(EventList)
        await wait_until(pilot, lambda: events.event and events.event.payload == {"count": 999})
        assert events.total <= 125


async def test_the_tail_leads_to_the_job(daemon: FakeDaemon, make_app: MakeApp) -> None:
    daemon.commit_event("job.created", daemon.job(7))
    async with make_app().run_test(size=(120, 20)) as pilot:
        await pilot.press("t")
        await wait_until(pilot, lambda: pilot.app.screen.query_one(EventList).count == 1)
        await pilot.press("enter")
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, JobScreen))
        await pilot.press("t")
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, TailScreen))
        assert len(pilot.app.screen_stack) == 2
