"""The screen of statistics, by keys: groupings, the jobs behind a bar, empty periods, and what happens meanwhile."""

import pytest
from textual.pilot import Pilot

from tests.tui import documents
from tests.tui.fake_daemon import FakeDaemon
from tests.tui.screens.busy_daemon import fill_busy_daemon
from tests.tui.screens.screen import MakeApp, screen_text, wait_for_text, wait_until


@pytest.fixture
def busy(daemon: FakeDaemon) -> FakeDaemon:
    fill_busy_daemon(daemon)
    return daemon


def asked(daemon: FakeDaemon, by: str) -> int:
    """Return how often statistics of a grouping were requested."""
    return sum(line.startswith("GET /stats?") and line.endswith(f"by={by}") for line, _ in daemon.requests)


def filters(daemon: FakeDaemon) -> list[str]:
    return [line.partition("q=")[2].partition("&")[0] for line, _ in daemon.requests if "q=" in line]


async def open_insights(pilot: Pilot[None]) -> None:
    await wait_for_text(pilot, "octo-org/api#479")
    await pilot.press("i")
    await wait_for_text(pilot, "252 jobs ended")


@pytest.mark.parametrize(
    ("key", "text", "q"),
    [
        ("d", "2026-11-22  ██", "ended%3A2026-11-22"),
        ("t", "a, odd type", "type%3Afix+ended%3A%3E%3D2026-11-08"),
        ("r", "REPOSITORY", "repo%3Aocto-org%2Fapi+ended%3A%3E%3D2026-11-08"),
        ("e", "EXECUTOR", "executor%3Aagent+ended%3A%3E%3D2026-11-08"),
    ],
)
async def test_enter_shows_the_jobs_that_a_bar_counts(
    busy: FakeDaemon, make_app: MakeApp, key: str, text: str, q: str
) -> None:
    async with make_app().run_test(size=(120, 40)) as pilot:
        await open_insights(pilot)
        await pilot.press(key)
        await wait_for_text(pilot, text)
        await pilot.press("enter")
        await wait_until(pilot, lambda: q in filters(busy))
        await wait_for_text(pilot, "stitcher ─ jobs")


async def test_hours_are_those_of_two_days_and_enter_shows_their_jobs(busy: FakeDaemon, make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 40)) as pilot:
        await open_insights(pilot)
        await pilot.press("h")
        await wait_for_text(pilot, "last 48 hours", "2026-11-22 14:00", "2026-11-22 13:00  ██")
        await pilot.press("down", "enter")
        await wait_until(pilot, lambda: "ended%3A2026-11-22T13" in filters(busy))


@pytest.mark.parametrize("keys", [("D",), ("R",), ("t",), ("enter",)])
async def test_the_key_opens_it_from_every_screen(busy: FakeDaemon, make_app: MakeApp, keys: tuple[str, ...]) -> None:
    async with make_app().run_test(size=(120, 40)) as pilot:
        await wait_for_text(pilot, "octo-org/api#479")
        await pilot.press(*keys)
        await wait_until(pilot, lambda: len(pilot.app.screen_stack) == 2)
        await pilot.press("i")
        await wait_for_text(pilot, "insights  last 14 days", "252 jobs ended")
        await pilot.press("escape")
        await wait_until(pilot, lambda: len(pilot.app.screen_stack) == 2)


async def test_the_gates_are_those_of_the_group_under_the_cursor(busy: FakeDaemon, make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 40)) as pilot:
        await open_insights(pilot)
        await wait_for_text(pilot, "GATES  2026-11-22, the slowest first", "77 % of 57", "98 % of 57")
        lines = screen_text(pilot.app).splitlines()
        assert [line.split()[0] for line in lines if " of 57" in line] == ["tests", "lint"]
        await pilot.press("down")
        await wait_for_text(pilot, "GATES  2026-11-21: none ran", absent=" of 57")


async def test_an_empty_period_says_so(daemon: FakeDaemon, make_app: MakeApp) -> None:
    async with make_app().run_test(size=(80, 24)) as pilot:
        await wait_for_text(pilot, "● live")
        await pilot.press("i")
        await wait_for_text(pilot, "no job has ended since 2026-11-08 00:00 UTC")
        assert "MOST FAILED" not in screen_text(pilot.app)
        await pilot.press("enter")
        await pilot.pause()
        assert len(pilot.app.screen_stack) == 2


async def test_what_ends_meanwhile_is_counted_and_the_cursor_stays(busy: FakeDaemon, make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 40)) as pilot:
        await open_insights(pilot)
        await pilot.press("r")
        await wait_for_text(pilot, "REPOSITORY")
        await pilot.press("down")
        await wait_for_text(pilot, "GATES  octo-org/web: none ran")
        busy.stats["repository"].insert(0, documents.stats_item("octo-org/new"))
        busy.commit_event("job.completed")
        await wait_for_text(pilot, "octo-org/new", "GATES  octo-org/web: none ran")


async def test_events_that_count_nothing_cause_no_request(busy: FakeDaemon, make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 40)) as pilot:
        await open_insights(pilot)
        before = asked(busy, "day")
        busy.commit_event("step.progress")
        busy.commit_event("delivery.received")
        await pilot.pause(0.3)
        assert asked(busy, "day") == before


async def test_a_small_terminal_shows_the_bars_alone(busy: FakeDaemon, make_app: MakeApp) -> None:
    async with make_app().run_test(size=(60, 15)) as pilot:
        await wait_for_text(pilot, "api#479")
        await pilot.press("i")
        await wait_for_text(pilot, "252 jobs ended", "2026-11-22  ██", absent="GATES")
        await pilot.resize_terminal(59, 15)
        await wait_for_text(pilot, "stitcher needs a terminal of at least 60 by 15 cells", absent="jobs ended")
