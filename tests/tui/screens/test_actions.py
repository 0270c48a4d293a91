"""What waits for a person, by keys: what would happen is told, and nothing happens by accident."""

from typing import Any

import pytest

from tests.tui import documents
from tests.tui.documents import Document
from tests.tui.fake_daemon import FakeDaemon
from tests.tui.screens.screen import MakeApp, screen_text, stitcher_app, wait_for_text, wait_until
from tui.screens.dialogs import InputDialog
from tui.screens.jobs import JobsScreen

WAITING = {"guards": ["outsider-text"], "by": ["maintainers"], "expiresAt": "2026-11-23T13:30:00.000Z"}
ASKS = {"id": "guard:outsider-text", "kind": "guard", "outcome": "ask", "line": 63, "seen": "github:drive-by",
        "wanted": "in team", "because": None}  # fmt: skip


@pytest.fixture
def job(daemon: FakeDaemon) -> Document:
    tries = {"used": 0, "max": 3}
    made = daemon.job(
        1, status="PENDING", waiting=WAITING, tries=tries, queuedAt=None, startedAt=None, completedAt=None
    )
    decision = {**documents.DECISION, "verdict": "waiting", "sandbox": "bwrap", "checks": [ASKS]}
    prompt = "".join(f"line {number}\x1b[2J\n" for number in range(1, 12))
    daemon.details[made["id"]] = {"decision": decision, "prompt": prompt}
    return made


def answers(daemon: FakeDaemon) -> list[tuple[str, Any]]:
    return [(path.rpartition("/")[2], body) for path, body in daemon.requests if path.startswith("POST /runner-jobs/")]


async def test_a_row_counts_down_to_its_end(daemon: FakeDaemon, job: Document, make_app: MakeApp) -> None:
    daemon.job(2, status="PENDING", waiting={**WAITING, "by": [], "expiresAt": "2026-11-22T14:05:40.000Z"})
    daemon.job(3, status="PENDING", waiting={**WAITING, "expiresAt": "2026-11-22T14:04:40.000Z"})
    async with make_app().run_test(size=(160, 30)) as pilot:
        await pilot.press("3")
        await wait_for_text(pilot, "23h left · outsider-text, by maintainers")
        assert "40s left · outsider-text, by you" in screen_text(pilot.app)
        assert "no time left · outsider-text" in screen_text(pilot.app)


async def test_approve_tells_what_would_happen_and_only_y_is_yes(
    daemon: FakeDaemon,
    job: Document,
    make_app: MakeApp,
) -> None:
    async with make_app().run_test(size=(120, 40), notifications=True) as pilot:
        await wait_for_text(pilot, "a approve")
        for no in ("n", "enter", "escape", "Y"):
            await pilot.press("a")
            await wait_for_text(pilot, "Approve 1 job?")
            text = screen_text(pilot.app)
            for said in (
                "by source:github/octocat on octo-org/api#1",
                "23h left · outsider-text, by maintainers",
                "weaver → agent, up to 3 tries, sandbox bwrap",
                "guard:outsider-text: github:drive-by",
                "prompt   line 1\\x1b[2J",
                "line 8",
            ):
                assert said in text, said
            assert "line 9" not in text
            await pilot.press(no)
            await wait_until(pilot, lambda: isinstance(pilot.app.screen, JobsScreen))
        assert answers(daemon) == []
        await pilot.press("a")
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, InputDialog))
        await pilot.press("y")
        await wait_until(pilot, lambda: answers(daemon) == [("approve", {})])
        job["status"] = "QUEUED"
        daemon.commit_event("job.approved", job)
        await wait_for_text(pilot, "00000001 is approved", "● queued")


async def test_what_ran_already_is_only_published(daemon: FakeDaemon, make_app: MakeApp) -> None:
    daemon.job(5, status="PENDING", waiting={**WAITING, "guards": ["paths.tests"], "by": []})
    async with make_app().run_test(size=(120, 40)) as pilot:
        await wait_for_text(pilot, "a approve")
        await pilot.press("a")
        await wait_for_text(pilot, "paths.tests, by you")
        assert "what passed the gates is published; enter, then 3 shows it" in screen_text(pilot.app)


async def test_approve_with_a_reason(daemon: FakeDaemon, job: Document, make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 40)) as pilot:
        await wait_for_text(pilot, "a approve")
        await pilot.press("a")
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, InputDialog))
        await pilot.press("tab", *"yes, by me", "enter")
        await wait_until(pilot, lambda: answers(daemon) == [("approve", {"reason": "yes, by me"})])


async def test_deny_needs_a_reason_of_ones_own(daemon: FakeDaemon, job: Document, make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 40)) as pilot:
        await wait_for_text(pilot, "d deny")
        await pilot.press("d")
        await wait_for_text(pilot, "Deny 1 job?")
        await pilot.press("enter", "space", "enter")
        await wait_for_text(pilot, "a reason is needed here")
        await pilot.press("y", "escape")
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, JobsScreen))
        assert answers(daemon) == []
        await pilot.press("d")
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, InputDialog))
        await pilot.press(*"not now", "enter")
        await wait_until(pilot, lambda: answers(daemon) == [("deny", {"reason": "not now"})])


async def test_several_are_answered_together(daemon: FakeDaemon, job: Document, make_app: MakeApp) -> None:
    daemon.job(2, status="PENDING", waiting=WAITING)
    async with make_app().run_test(size=(120, 40)) as pilot:
        await wait_for_text(pilot, "api#2")
        await pilot.press("space", "space")
        await wait_for_text(pilot, "a/d 2")
        await pilot.press("d")
        await wait_for_text(pilot, "Deny 2 jobs?")
        await pilot.press(*"no", "enter")
        await wait_until(pilot, lambda: answers(daemon) == [("deny", {"reason": "no"})] * 2)


async def test_somebody_is_told_that_a_job_waits(daemon: FakeDaemon, make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 40), notifications=True) as pilot:
        await wait_until(pilot, lambda: stitcher_app(pilot).session.connection.live)
        daemon.commit_event("job.waiting", daemon.job(9, status="PENDING"))
        await wait_for_text(pilot, "00000009 waits for you")


async def test_nothing_waits(daemon: FakeDaemon, make_app: MakeApp) -> None:
    daemon.job(1)
    async with make_app().run_test(size=(120, 40)) as pilot:
        await pilot.press("3")
        await wait_for_text(pilot, "nothing waits for you")
