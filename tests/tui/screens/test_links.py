"""The keys that open threads and changes."""

import pytest
from textual.pilot import Pilot

from tests.tui import documents
from tests.tui.fake_daemon import FakeDaemon
from tests.tui.screens.screen import MakeApp, wait_for_text, wait_until
from tui.screens import session

ISSUE = "https://github.com/octo-org/api/issues/7"
CHANGE = "https://github.com/octo-org/api/pull/8"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the browser opens."""
    urls: list[str] = []

    def open_url(url: str) -> bool:
        urls.append(url)
        return True

    monkeypatch.setattr(session, "open_in_browser", open_url)
    return urls


def _add_job(daemon: FakeDaemon, url: str | None) -> None:
    job = daemon.job(7, thread={"kind": "issue", "number": 7, "title": "t", "url": url, "author": None})
    daemon.details[job["id"]] = {"change": {"number": 8, "url": CHANGE}}


async def _open_job(pilot: Pilot[None]) -> None:
    await wait_for_text(pilot, "api#7")
    await pilot.press("enter")
    await wait_for_text(pilot, "weaver → agent")


async def test_the_thread_and_the_change_are_opened(daemon: FakeDaemon, make_app: MakeApp, opened: list[str]) -> None:
    _add_job(daemon, ISSUE)
    async with make_app().run_test(size=(120, 30), notifications=True) as pilot:
        await wait_for_text(pilot, "api#7")
        await pilot.press("o")
        await wait_for_text(pilot, f"opened {ISSUE}")
        await _open_job(pilot)
        await pilot.press("o", "O")
        await wait_until(pilot, lambda: sorted(opened) == [ISSUE, ISSUE, CHANGE])


async def test_a_url_is_copied_where_no_browser_can_be_opened(
    daemon: FakeDaemon, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "open_in_browser", lambda _: False)
    _add_job(daemon, ISSUE)
    async with make_app().run_test(size=(120, 30), notifications=True) as pilot:
        await wait_for_text(pilot, "api#7")
        await pilot.press("o")
        await wait_for_text(pilot, "no browser can be opened here")
        assert pilot.app.clipboard == ISSUE


@pytest.mark.parametrize("url", [None, "file:///etc/passwd"])
async def test_without_a_url_the_branch_is_copied(
    daemon: FakeDaemon, make_app: MakeApp, opened: list[str], url: str | None
) -> None:
    _add_job(daemon, url)
    async with make_app().run_test(size=(120, 30), notifications=True) as pilot:
        await wait_for_text(pilot, "api#7")
        await pilot.press("o")
        await wait_for_text(pilot, "it has no thread with a URL")
        assert pilot.app.clipboard == "stitcher/5b1f7f3a1c9d"
        assert opened == []


async def test_the_thread_of_a_delivery_is_opened(daemon: FakeDaemon, make_app: MakeApp, opened: list[str]) -> None:
    daemon.deliveries.append({**documents.DELIVERY, "thread": {**documents.DELIVERY["thread"], "url": ISSUE}})
    async with make_app().run_test(size=(120, 30)) as pilot:
        await pilot.press("D")
        await wait_for_text(pilot, "7f3a1c02")
        await pilot.press("o")
        await wait_until(pilot, lambda: opened == [ISSUE])
