"""What the feed changes without a key being pressed: connection, status, notices."""

import pytest

from tests.tui.documents import Document
from tests.tui.fake_daemon import FakeDaemon
from tests.tui.screens.screen import MakeApp, job_list, screen_text, stitcher_app, wait_for_text, wait_until
from tui.screens.jobs import JobsScreen
from tui.screens.simulation import SimulationScreen


async def test_a_lost_connection_is_shown_until_it_is_back(daemon: FakeDaemon, make_app: MakeApp) -> None:
    job = daemon.job(1, status="RUNNING")
    async with make_app().run_test(size=(120, 20)) as pilot:
        await wait_for_text(pilot, "▶ running")
        daemon.disconnect()
        await wait_for_text(pilot, "daemon not reachable for 00:00")
        assert "▶ running" in screen_text(pilot.app)
        assert "○ lost" in screen_text(pilot.app)
        assert job_list(pilot).faded
        job["status"] = "COMPLETED"
        daemon.commit_event("job.completed", job)
        daemon.unreachable = False
        await wait_for_text(pilot, "✓ completed")
        assert "not reachable" not in screen_text(pilot.app)
        assert not job_list(pilot).faded


async def test_no_daemon_at_start(daemon: FakeDaemon, make_app: MakeApp) -> None:
    daemon.unreachable = True
    async with make_app().run_test(size=(160, 20)) as pilot:
        await wait_for_text(pilot, "start it with: stitcherd")
        daemon.job(3)
        daemon.unreachable = False
        await wait_for_text(pilot, "api#3")


@pytest.mark.parametrize(
    ("cells", "shown", "hidden"),
    [
        (120, "▁▁▂▄▆▄▂█ 14 ended/min   queue 3 · oldest 12s", "‖"),
        (80, "queue 3 · oldest 12s", "ended/min"),
        (60, "● live", "queue"),
    ],
)
async def test_the_load_as_far_as_there_is_space(
    daemon: FakeDaemon, make_app: MakeApp, cells: int, shown: str, hidden: str
) -> None:
    daemon.job(1)
    async with make_app().run_test(size=(cells, 20)) as pilot:
        await wait_until(
            pilot, lambda: stitcher_app(pilot).session.status.pulse and shown in screen_text(pilot.app).splitlines()[0]
        )
        assert hidden not in screen_text(pilot.app).splitlines()[0]


async def test_the_load_is_polled_again_when_jobs_change(daemon: FakeDaemon, make_app: MakeApp) -> None:
    job = daemon.job(1, status="RUNNING")
    async with make_app().run_test(size=(120, 20)) as pilot:
        await wait_for_text(pilot, "14 ended/min")
        daemon.pulse = {**daemon.pulse, "ended": [0] * 7 + [15], "queued": 0, "oldestQueuedAt": None}
        daemon.commit_event("job.started", job)
        await wait_for_text(pilot, "15 ended/min   queue 0")


async def test_failing_readiness_checks_are_shown(daemon: FakeDaemon, make_app: MakeApp) -> None:
    daemon.checks = [
        {"name": "daemon", "ok": True, "detail": "running", "since": "x"},
        {"name": "executor:openclaw", "ok": False, "detail": "connection \x1b refused", "since": "x"},
        {"name": "writer", "ok": False, "detail": "disk full", "since": "x"},
    ]
    async with make_app().run_test(size=(120, 30), notifications=True) as pilot:
        await wait_until(pilot, lambda: "✗ executor:openclaw +1" in screen_text(pilot.app).splitlines()[0])
        await pilot.click("#title", offset=(screen_text(pilot.app).splitlines()[0].index("executor:"), 0))
        await wait_for_text(pilot, "connection \\x1b refused", "disk full")


async def test_a_job_that_waits_is_notified(daemon: FakeDaemon, make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 40), notifications=True) as pilot:
        await wait_until(pilot, lambda: stitcher_app(pilot).session.connection.live)
        daemon.commit_event("job.waiting", daemon.job(9, status="PENDING"))
        await wait_for_text(pilot, "00000009 waits for you")


async def test_a_reload_shows_what_it_changes(
    daemon: FakeDaemon,
    simulation: Document,
    make_app: MakeApp,
) -> None:
    async with make_app().run_test(size=(180, 40)) as pilot:
        await wait_for_text(pilot, "rails r-4f2a91c0")
        daemon.change_rails()
        daemon.reload_rails()
        notice = "rails r-51bc0000 → r-4f2a91c0 in force · 3 rules changed · of the last 1,000 deliveries: 3 now denied"
        await wait_for_text(pilot, notice, "1 newly allowed", "m to see  esc hides this")
        body = next(body for path, body in daemon.requests if path == "POST /rails/simulate")
        assert body == {"text": daemon.rails["text"], "limit": 1000}
        await pilot.press("m")
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, SimulationScreen))
        await pilot.press("escape")
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, JobsScreen))
        await pilot.press("escape")
        await wait_for_text(pilot, absent="in force")


async def test_a_reload_is_notified_on_other_screens(daemon: FakeDaemon, make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 40), notifications=True) as pilot:
        await wait_for_text(pilot, "rails r-4f2a91c0")
        await pilot.press("t")
        await wait_for_text(pilot, "no events yet")
        daemon.change_rails()
        daemon.reload_rails()
        await wait_for_text(pilot, "3 rules changed")


async def test_a_rejected_file_is_shown_until_it_is_fixed(daemon: FakeDaemon, make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 40)) as pilot:
        await wait_until(pilot, lambda: stitcher_app(pilot).session.connection.live)
        daemon.rails["error"] = {"line": 3, "column": 1, "message": "no such key", "at": "x"}
        daemon.commit_event("rails.rejected", line=3)
        await wait_for_text(pilot, "▲ rails.yaml:3:1 no such key")
        await pilot.press("escape")
        assert "no such key" in screen_text(pilot.app)
        daemon.rails["error"] = None
        daemon.reload_rails()
        await wait_for_text(pilot, "in force", absent="no such key")


@pytest.mark.parametrize("key", ["t", "D", "enter", "w"])
async def test_a_rejected_file_is_shown_on_every_screen(daemon: FakeDaemon, make_app: MakeApp, key: str) -> None:
    daemon.job(1)
    async with make_app().run_test(size=(120, 40)) as pilot:
        await wait_for_text(pilot, "api#1")
        await pilot.press(key)
        await wait_until(pilot, lambda: not isinstance(pilot.app.screen, JobsScreen))
        daemon.rails["error"] = {"line": 3, "column": 1, "message": "no such key", "at": "x"}
        daemon.commit_event("rails.rejected", line=3)
        await wait_for_text(pilot, "▲ rails.yaml:3:1 no such key · kept r-4f2a91c0")


@pytest.mark.parametrize(("before", "said"), [("4f2a91c0", "in force as before"), (None, "in force")])
async def test_rails_that_stay_as_they_are_are_no_news(
    daemon: FakeDaemon, make_app: MakeApp, before: str | None, said: str
) -> None:
    daemon.rails["error"] = {"line": 3, "column": 1, "message": "no such key", "at": "x"}
    async with make_app().run_test(size=(120, 40), notifications=True) as pilot:
        await wait_for_text(pilot, "no such key")
        daemon.rails["error"] = None
        daemon.reload_rails(before)
        await wait_for_text(pilot, f"rails.yaml is valid: r-4f2a91c0 {said}", absent="no such key")
        assert "esc hides this" not in screen_text(pilot.app)
