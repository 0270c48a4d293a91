"""What a job is opened on: the question that it waits for, what it changed, or its log."""

import pytest

from tests.tui import documents
from tests.tui.fake_daemon import FakeDaemon
from tests.tui.screens.screen import MakeApp, screen_text, wait_for_text

RESULT = {"commit": "4be1f00d", "files": 1, "additions": 1, "deletions": 1, "summary": ""}
NOTHING = {**RESULT, "commit": None}
WAITING = {"guards": ["outsider-text"], "by": ["maintainers"], "expiresAt": "2026-11-23T13:30:00.000Z"}


@pytest.mark.parametrize(
    ("status", "result", "shown"),
    [
        ("COMPLETED", RESULT, "+a new line"),
        ("COMPLETED", NOTHING, "printed by report"),
        ("FAILED", None, "printed by report"),
        ("RUNNING", None, "printed by report"),
    ],
)
async def test_a_job_opens_on_what_is_of_interest(
    daemon: FakeDaemon, make_app: MakeApp, status: str, result: dict[str, object] | None, shown: str
) -> None:
    job = daemon.job(7, status=status)
    step = documents.step(1, "report")
    daemon.details[job["id"]] = {"steps": [step], "result": result}
    daemon.logs[step["id"]] = b"printed by report\n"
    daemon.diffs[f"{job['id']}/1"] = b"+a new line\n"
    async with make_app().run_test(size=(120, 30)) as pilot:
        await wait_for_text(pilot, "api#7")
        await pilot.press("enter")
        await wait_for_text(pilot, shown)


async def test_a_waiting_job_opens_on_its_question(daemon: FakeDaemon, make_app: MakeApp) -> None:
    job = daemon.job(7, status="PENDING", waiting=WAITING, queuedAt=None, startedAt=None, completedAt=None)
    daemon.details[job["id"]] = {"decision": documents.DECISION}
    async with make_app().run_test(size=(120, 30)) as pilot:
        await wait_for_text(pilot, "api#7")
        await pilot.press("enter")
        await wait_for_text(
            pilot, "waits for an approval: 23h left · outsider-text, by maintainers   a approve  d deny"
        )
        await wait_for_text(pilot, "guard freeze", absent="no output")
        assert "STEPS" in screen_text(pilot.app)
        assert "0s  " not in screen_text(pilot.app)
        row = next(at for at, line in enumerate(screen_text(pilot.app).splitlines()) if "a approve" in line)
        await pilot.click("#reason", offset=(screen_text(pilot.app).splitlines()[row].index("a approve"), 0))
        await wait_for_text(pilot, "Approve 1 job?")
