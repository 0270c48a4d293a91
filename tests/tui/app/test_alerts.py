"""Alerts to jobs that fail or begin to wait: what is written to the terminal, and how it is switched."""

from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.tui.fake_daemon import FakeDaemon
from tests.tui.screens.screen import MakeApp, stitcher_app, wait_until
from tui.app import alerts
from tui.client.preferences import AlertSettings, load_alerts, save_alerts

NOTICE = "\x1b]9;stitcher: job {} {}\x1b\\"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TMUX", "VTE_VERSION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(alerts, "PAUSE_SECONDS", 0.01)


async def written(pilot: Pilot[None], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Wait until events arrive; return the list of what the driver writes from now on, without what it draws."""
    await wait_until(pilot, lambda: stitcher_app(pilot).session.connection.live)
    sequences: list[str] = []
    driver: Any = pilot.app._driver
    monkeypatch.setattr(driver, "write", sequences.append)
    return sequences


def alerts_in(sequences: list[str]) -> list[str]:
    return [each for each in sequences if each == "\a" or each.startswith(("\x1b]9;", "\x1b]777;"))]


async def test_what_fails_or_waits_is_noticed_and_what_was_before_is_not(
    daemon: FakeDaemon, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon.commit_event("job.failed", daemon.job(1, status="FAILED"), code="before")
    async with make_app().run_test(size=(120, 40)) as pilot:
        sequences = await written(pilot, monkeypatch)
        daemon.commit_event("job.failed", daemon.job(2, status="FAILED"), code="gate_failed", detail="\x1b]0;x\x07")
        await wait_until(pilot, lambda: len(alerts_in(sequences)) == 1)
        daemon.commit_event("job.completed", daemon.job(3, status="COMPLETED"))
        daemon.commit_event("job.waiting", daemon.job(4, status="PENDING"))
        await wait_until(pilot, lambda: len(alerts_in(sequences)) == 2)
    assert alerts_in(sequences) == [
        NOTICE.format("00000002", "failed: gate_failed"),
        NOTICE.format("00000004", "waits for an approval"),
    ]
    assert not any("]0;" in each for each in alerts_in(sequences))


async def test_a_burst_is_one_notice_after_the_first(
    daemon: FakeDaemon, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerts, "PAUSE_SECONDS", 0.5)
    async with make_app().run_test(size=(120, 40)) as pilot:
        sequences = await written(pilot, monkeypatch)
        daemon.commit_event("job.failed", daemon.job(1, status="FAILED"))
        await wait_until(pilot, lambda: len(alerts_in(sequences)) == 1)
        for number in (2, 3):
            daemon.commit_event("job.failed", daemon.job(number, status="FAILED"))
        await wait_until(pilot, lambda: len(alerts_in(sequences)) >= 2)
    assert alerts_in(sequences)[:2] == [NOTICE.format("00000001", "failed"), "\x1b]9;stitcher: jobs: 2 failed\x1b\\"]


async def test_both_are_switched_in_the_palette_and_kept(
    daemon: FakeDaemon, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with make_app().run_test(size=(120, 40)) as pilot:
        sequences = await written(pilot, monkeypatch)
        for title in ("Turn desktop notices off", "Turn the bell on"):
            commands = pilot.app.get_system_commands(pilot.app.screen)
            next(command for command in commands if command.title == title).callback()
        daemon.commit_event("job.failed", daemon.job(2, status="FAILED"))
        await wait_until(pilot, lambda: alerts_in(sequences) == ["\a"])
    assert load_alerts(tmp_path) == AlertSettings(notices=False, bell=True)
    async with make_app().run_test(size=(120, 40)) as pilot:
        titles = {command.title for command in pilot.app.get_system_commands(pilot.app.screen)}
        assert {"Turn desktop notices on", "Turn the bell off"} <= titles


@pytest.mark.parametrize("notices", [True, False])
@pytest.mark.parametrize("bell", [True, False])
def test_what_is_kept_is_read_again(tmp_path: Path, notices: bool, bell: bool) -> None:
    save_alerts(tmp_path / "new", AlertSettings(notices=notices, bell=bell))
    assert load_alerts(tmp_path / "new") == AlertSettings(notices=notices, bell=bell)
    assert load_alerts(tmp_path) == AlertSettings(notices=True, bell=False)
