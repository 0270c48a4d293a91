"""The screen of a job, by keys: its steps, their output, and the actions on it."""

import pytest
from textual.pilot import Pilot

from tests.tui import documents
from tests.tui.documents import Document
from tests.tui.fake_daemon import FakeDaemon
from tests.tui.screens.screen import MakeApp, screen_text, wait_for_text, wait_until
from tui.screens.dialogs import ConfirmDialog
from tui.screens.job import JobScreen
from tui.screens.jobs import JobsScreen
from tui.widgets.log import LogView
from tui.widgets.step_tree import StepTree


@pytest.fixture
def failed(daemon: FakeDaemon) -> Document:
    """A job that failed in its second try, whose gate printed 5,000 lines."""
    job = daemon.job(
        479,
        status="FAILED",
        queuedAt="2026-11-22T14:02:03.000Z",
        startedAt="2026-11-22T14:02:13.000Z",
        completedAt="2026-11-22T14:04:13.000Z",
        tries={"used": 2, "max": 3},
        error={"code": "gates_failed", "detail": "gate tests failed: exit 1", "hint": "look at its output"},
    )
    steps = [documents.step(1, "checkout", startedAt=_at(13), completedAt=_at(16), durationMs=3000)]
    for number, start in ((1, 16), (2, 73)):
        more = {"try": number}
        ordinal = len(steps) + 1
        steps += [
            documents.step(ordinal, "agent", phase="EXECUTION", type="AI_ACTION", startedAt=_at(start),
                        completedAt=_at(start + 40), **more),
            documents.step(ordinal + 1, "tests", phase="VALIDATION", type="GATE", status="FAILED", exitCode=1,
                        startedAt=_at(start + 40), completedAt=_at(start + 57), **more),
        ]  # fmt: skip
    for step in steps:
        step["jobId"] = job["id"]
        daemon.logs[step["id"]] = f"output of {step['name']} in try {step['try']}\n".encode()
    daemon.logs["step-5"] = b"".join(b"line %d of 5000\n" % number for number in range(1, 5001))
    daemon.conversations["step-4"] = b"=== prompt ===\nfix the [bold]last[/bold] row\n\n> \x1b[2Jquoted\n"
    daemon.details[job["id"]] = {
        "prompt": "fix the [bold]last[/bold] row\n\n> \x1b[31mquoted",
        "steps": steps,
        "decision": documents.DECISION,
        "events": [{**documents.event(1, "gate.failed", "step-5", name="tests", exitCode=1), "jobId": job["id"]}],
    }
    return job


def _at(second: int) -> str:
    return f"2026-11-22T14:{2 + second // 60:02}:{second % 60:02}.000Z"


async def _open(pilot: Pilot[None]) -> None:
    await wait_for_text(pilot, "octo-org/api#479")
    await pilot.press("enter")
    await wait_until(pilot, lambda: isinstance(pilot.app.screen, JobScreen) and "▾ try 2" in screen_text(pilot.app))


async def test_steps_are_a_tree_with_times(failed: Document, make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 30)) as pilot:
        await _open(pilot)
        text = screen_text(pilot.app)
        assert "Jobs \N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK} 000001df  ✗ failed  fix · octo-org/api#479" in text
        steps = [line for line in text.splitlines() if "│" in line]
        names = [line[:24].strip() for line in steps[1:8]]
        assert names == ["✓ checkout", "▾ try 1", "✓ agent", "✗ gate tests", "▾ try 2", "✓ agent", "✗ gate tests"]
        assert "\N{BOX DRAWINGS LIGHT DIAGONAL CROSS}" in steps[7]
        assert "░" in steps[1]


async def test_the_output_of_the_failed_step_is_shown_from_its_end(failed: Document, make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 30)) as pilot:
        await _open(pilot)
        await wait_for_text(pilot, "line 5000 of 5000")
        assert "LOG  tests (try 2)  exit 1" in screen_text(pilot.app)
        await pilot.press("up")
        await wait_for_text(pilot, "output of agent in try 2")
        await pilot.press("home")
        await wait_for_text(pilot, "output of checkout in try None")


async def test_a_pruned_log_is_reported(daemon: FakeDaemon, failed: Document, make_app: MakeApp) -> None:
    del daemon.logs["step-5"]
    async with make_app().run_test(size=(120, 30)) as pilot:
        await _open(pilot)
        await wait_for_text(pilot, "past its retention")


async def test_output_is_followed_until_the_user_scrolls_up(
    daemon: FakeDaemon,
    failed: Document,
    make_app: MakeApp,
) -> None:
    async with make_app().run_test(size=(120, 30)) as pilot:
        await _open(pilot)
        await wait_for_text(pilot, "line 5000 of 5000")
        daemon.logs["step-5"] += b"one more\n"
        daemon.commit_event("step.output", failed, "step-5", offset=1, length=1, text="one more\n")
        await wait_for_text(pilot, "one more")
        await pilot.press("tab", "pageup")
        before = screen_text(pilot.app).splitlines()[6]
        log = pilot.app.screen.query_one(LogView)
        assert not log.following
        daemon.logs["step-5"] += b"and another\n" * 50
        daemon.commit_event("step.output", failed, "step-5", offset=1, length=1, text="and another\n")
        await wait_until(pilot, lambda: log.text.size == len(daemon.logs["step-5"]))
        assert screen_text(pilot.app).splitlines()[6] == before
        await pilot.press("f")
        await wait_for_text(pilot, "and another")
        assert log.following


async def test_a_huge_log_is_read_only_where_it_is_visible(
    daemon: FakeDaemon, failed: Document, make_app: MakeApp
) -> None:
    daemon.logs["step-5"] = b"".join(b"line %09d\n" % number for number in range(3_000_000))
    async with make_app().run_test(size=(120, 30)) as pilot:
        await _open(pilot)
        await wait_for_text(pilot, "line 002999999")
        await pilot.press("tab", "home")
        await wait_for_text(pilot, "line 000000000")
        assert "0 % of 42.9 MiB" in screen_text(pilot.app)
        await pilot.press("slash", *"001777777", "enter")
        await wait_for_text(pilot, "line 001777777")
        await pilot.press("end")
        await wait_for_text(pilot, "line 002999999")
        assert pilot.app.screen.query_one(LogView).following


async def test_find_highlights_and_continues(failed: Document, make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 30)) as pilot:
        await _open(pilot)
        await wait_for_text(pilot, "line 5000 of 5000")
        await pilot.press("slash", *"LINE 42", "enter")
        await wait_for_text(pilot, "line 4299 of")
        await pilot.press("N")
        await wait_for_text(pilot, "line 4298 of")
        await pilot.press("tab", "slash", *"nowhere", "enter")
        await wait_for_text(pilot, "nowhere is not")


async def test_long_lines_are_wrapped(daemon: FakeDaemon, failed: Document, make_app: MakeApp) -> None:
    daemon.logs["step-5"] = b"word " * 100 + b"end\n"
    async with make_app().run_test(size=(120, 30)) as pilot:
        await _open(pilot)
        await wait_for_text(pilot, "word word")
        assert "end" not in screen_text(pilot.app)
        await pilot.press("tab", "z")
        await wait_for_text(pilot, "word end")


async def test_the_pages(daemon: FakeDaemon, failed: Document, make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 40)) as pilot:
        await _open(pilot)
        for key, text in (
            ("2", "gate.failed       name=tests"),
            ("3", "look at its output"),
            ("4", "add github:drive-by to team"),
            ("5", "[bold]last[/bold]"),
            ("5", "\\x1b[2Jquoted"),
            ("6", '"status": "FAILED",'),
            ("1", "line 5000 of 5000"),
        ):
            await pilot.press(key)
            await wait_for_text(pilot, text)


async def test_a_running_job_follows_its_events(daemon: FakeDaemon, make_app: MakeApp) -> None:
    job = daemon.job(479, status="RUNNING", completedAt=None)
    step = {**documents.step(1, "checkout"), "jobId": job["id"]}
    daemon.details[job["id"]] = {"steps": [step]}
    async with make_app(job=job["id"][-8:]).run_test(size=(120, 30)) as pilot:
        await wait_for_text(pilot, "✓ checkout")
        agent = documents.step(2, "agent", status="RUNNING", completedAt=None, durationMs=None, exitCode=None)
        agent.update({"try": 1, "jobId": job["id"], "phase": "EXECUTION"})
        daemon.details[job["id"]] = {"steps": [step, agent]}
        daemon.logs["step-2"] = b"thinking\n"
        daemon.commit_event("step.started", job, "step-2", name="agent")
        await wait_for_text(pilot, "▶ agent", "thinking")
        assert "following" in screen_text(pilot.app)


async def test_a_try_folds(failed: Document, make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 30)) as pilot:
        await _open(pilot)
        await pilot.press("home", "down", "enter")
        await wait_for_text(pilot, "▸ try 1")
        assert pilot.app.screen.query_one(StepTree).count == 5


async def test_retry_then_back(daemon: FakeDaemon, failed: Document, make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 30)) as pilot:
        await _open(pilot)
        await pilot.press("r")
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, ConfirmDialog))
        await pilot.press("y")
        await wait_until(pilot, lambda: [path for path, _ in daemon.requests if path.endswith("/retry")])
        await pilot.press("escape")
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, JobsScreen))


async def test_no_such_job(make_app: MakeApp) -> None:
    async with make_app(job="deadbeef").run_test(size=(120, 30)) as pilot:
        await wait_for_text(pilot, "there is no runner-jobs/deadbeef")


@pytest.mark.parametrize("size", [(80, 24), (60, 15)])
async def test_small_terminals(failed: Document, make_app: MakeApp, size: tuple[int, int]) -> None:
    async with make_app().run_test(size=size) as pilot:
        await _open(pilot)
        await wait_for_text(pilot, "line 5000 of 5000")


async def test_a_pager_needs_a_terminal(
    daemon: FakeDaemon,
    make_app: MakeApp,
) -> None:
    job = daemon.job(7)
    daemon.details[job["id"]] = {"steps": [{**documents.step(1, "checkout"), "jobId": job["id"]}]}
    async with make_app(job=job["id"]).run_test(size=(120, 30), notifications=True) as pilot:
        await wait_for_text(pilot, "✓ checkout")
        await pilot.press("vertical_line")
        await wait_until(pilot, lambda: "suspend" in screen_text(pilot.app).lower())
