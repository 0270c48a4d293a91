"""Actions on jobs and on the daemon, by keys: what they ask, and what they send."""

import json
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.tui import documents
from tests.tui.documents import Document
from tests.tui.fake_daemon import FakeDaemon
from tests.tui.screens.screen import MakeApp, screen_text, stitcher_app, wait_for_text, wait_until
from tui.screens.dialogs import InputDialog
from tui.screens.jobs import JobsScreen
from tui.screens.jobs_list import JobList

WAITING = {"guards": ["outsider-text"], "by": ["maintainers"], "expiresAt": "2026-11-23T13:30:00.000Z"}


ASKS = {"id": "guard:outsider-text", "kind": "guard", "outcome": "ask", "line": 63, "seen": "github:drive-by",
        "wanted": "in team", "because": None}  # fmt: skip


def rows(pilot: Pilot[None]) -> int:
    return int(pilot.app.screen_stack[0].query_one(JobList).count)


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


async def test_a_row_counts_down_to_its_expiry(daemon: FakeDaemon, job: Document, make_app: MakeApp) -> None:
    daemon.job(2, status="PENDING", waiting={**WAITING, "by": [], "expiresAt": "2026-11-22T14:05:40.000Z"})
    daemon.job(3, status="PENDING", waiting={**WAITING, "expiresAt": "2026-11-22T14:04:40.000Z"})
    async with make_app().run_test(size=(160, 30)) as pilot:
        await pilot.press("3")
        await wait_for_text(pilot, "23h left · outsider-text, by maintainers")
        assert "40s left · outsider-text, by you" in screen_text(pilot.app)
        assert "no time left · outsider-text" in screen_text(pilot.app)


async def test_an_approval_shows_its_effect_and_only_y_confirms_it(
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
            for fact in (
                "by source:github/octocat on octo-org/api#1",
                "23h left · outsider-text, by maintainers",
                "weaver → agent, up to 3 tries, sandbox bwrap",
                "guard:outsider-text: github:drive-by",
                "prompt   line 1\\x1b[2J",
                "line 8",
            ):
                assert fact in text, fact
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


async def test_a_job_that_ran_already_is_only_published(daemon: FakeDaemon, make_app: MakeApp) -> None:
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


async def test_a_denial_needs_a_reason(daemon: FakeDaemon, job: Document, make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 40)) as pilot:
        await wait_for_text(pilot, "d deny")
        await pilot.press("d")
        await wait_for_text(pilot, "Deny 1 job?")
        await wait_for_text(pilot, "y yes, then type a reason")
        await pilot.press("n")
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, JobsScreen))
        await pilot.press("d")
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, InputDialog))
        await pilot.press("y", "enter", "space", "enter")
        await wait_for_text(pilot, "a reason is needed here")
        await pilot.press("y", "escape")
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, JobsScreen))
        assert answers(daemon) == []
        await pilot.press("d")
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, InputDialog))
        await pilot.press("y", *"not now", "enter")
        await wait_until(pilot, lambda: answers(daemon) == [("deny", {"reason": "not now"})])


async def test_several_jobs_are_denied_together(daemon: FakeDaemon, job: Document, make_app: MakeApp) -> None:
    daemon.job(2, status="PENDING", waiting=WAITING)
    async with make_app().run_test(size=(120, 40)) as pilot:
        await wait_for_text(pilot, "api#2")
        await pilot.press("space", "space")
        await wait_for_text(pilot, "a/d 2")
        await pilot.press("d")
        await wait_for_text(pilot, "Deny 2 jobs?")
        await pilot.press("y", *"no", "enter")
        await wait_until(pilot, lambda: answers(daemon) == [("deny", {"reason": "no"})] * 2)


async def test_nothing_waits(daemon: FakeDaemon, make_app: MakeApp) -> None:
    daemon.job(1)
    async with make_app().run_test(size=(120, 40)) as pilot:
        await pilot.press("3")
        await wait_for_text(pilot, "nothing waits for you")


async def test_export_of_all_jobs(
    daemon: FakeDaemon, make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for number in range(1, 701):
        daemon.job(number, status="FAILED" if number % 7 == 0 else "COMPLETED")
    async with make_app().run_test(size=(120, 40), notifications=True) as pilot:
        await wait_for_text(pilot, "api#700")
        await pilot.press("e")
        await wait_for_text(pilot, "700 jobs in stitcher-jobs-2026-11-22T140500.jsonl")
        lines = (tmp_path / "stitcher-jobs-2026-11-22T140500.jsonl").read_text("utf-8").splitlines()
        assert [json.loads(line)["id"] for line in lines] == [job["id"] for job in daemon.jobs]
        await pilot.press("e")
        await wait_for_text(pilot, "File exists")


async def test_pause_and_resume(daemon: FakeDaemon, make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 30), notifications=True) as pilot:
        await wait_until(pilot, lambda: stitcher_app(pilot).session.status.pulse)
        await pilot.press("P")
        await wait_for_text(pilot, "Let no new jobs start?")
        await pilot.press("tab", *"a release", "enter")
        await wait_until(pilot, lambda: "‖ paused" in screen_text(pilot.app).splitlines()[0])
        assert ("POST /pause", {"reason": "a release"}) in daemon.requests
        assert "paused: 1 running, 3 queued" in screen_text(pilot.app)
        await pilot.press("t")
        await wait_until(pilot, lambda: not isinstance(pilot.app.screen, JobsScreen))
        assert "‖ paused" in screen_text(pilot.app).splitlines()[0]
        await pilot.press("P")
        await wait_for_text(pilot, "Let jobs start again?")
        assert "(a release)" in screen_text(pilot.app)
        await pilot.press("y")
        await wait_until(pilot, lambda: "‖ paused" not in screen_text(pilot.app).splitlines()[0])
        assert ("POST /resume", {}) in daemon.requests


async def test_a_bulk_action_reports_refused_jobs(daemon: FakeDaemon, make_app: MakeApp) -> None:
    failed = [daemon.job(number, status="FAILED") for number in (1, 2)]
    items = [{"id": failed[0]["id"], "ok": True, "status": "QUEUED"},
             {"id": failed[1]["id"], "ok": False, "status": "FAILED", "code": "conflict"}]  # fmt: skip
    daemon.bulk = {"matched": 2, "items": items}
    async with make_app().run_test(size=(120, 30), notifications=True) as pilot:
        await wait_until(pilot, lambda: rows(pilot) == 2)
        await pilot.press("A", "r")
        await wait_for_text(pilot, "Retry 1 job?")
        await pilot.press("y")
        await wait_for_text(pilot, "result for each job")
        text = screen_text(pilot.app)
        assert text.index("00000002  ✗ failed      not done: conflict") < text.index("00000001  ● queued")
