"""What waits for a person, by keys: what would happen is told, and nothing happens by accident."""

from typing import Any

import pytest

from tui.screens.dialogs import ReasonDialog
from tui.screens.jobs import JobsScreen

WAITING = {"guards": ["outsider-text"], "by": ["maintainers"], "expiresAt": "2026-11-23T13:30:00.000Z"}
ASKS = {"id": "guard:outsider-text", "kind": "guard", "outcome": "ask", "line": 63, "seen": "github:drive-by",
        "wanted": "in team", "because": None}  # fmt: skip


@pytest.fixture
def job(daemon: Any, papers: Any) -> Any:
    tries = {"used": 0, "max": 3}
    made = daemon.job(
        1, status="PENDING", waiting=WAITING, tries=tries, queuedAt=None, startedAt=None, completedAt=None
    )
    decision = {**papers.DECISION, "verdict": "waiting", "sandbox": "bwrap", "checks": [ASKS]}
    prompt = "".join(f"line {number}\x1b[2J\n" for number in range(1, 12))
    daemon.details[made["id"]] = {"decision": decision, "prompt": prompt}
    return made


def answers(daemon: Any) -> list[tuple[str, Any]]:
    return [(path.rpartition("/")[2], body) for path, body in daemon.asked if path.startswith("POST /runner-jobs/")]


async def test_a_row_counts_down_to_its_end(daemon: Any, job: Any, app: Any, until: Any, seen: Any) -> None:
    daemon.job(2, status="PENDING", waiting={**WAITING, "by": [], "expiresAt": "2026-11-22T14:05:40.000Z"})
    daemon.job(3, status="PENDING", waiting={**WAITING, "expiresAt": "2026-11-22T14:04:40.000Z"})
    async with app().run_test(size=(160, 30)) as pilot:
        await pilot.press("3")
        await until(pilot, lambda: "23h left · outsider-text, by maintainers" in seen(pilot.app))
        assert "40s left · outsider-text, by you" in seen(pilot.app)
        assert "no time left · outsider-text" in seen(pilot.app)


async def test_approve_tells_what_would_happen_and_only_y_is_yes(
    daemon: Any, job: Any, app: Any, until: Any, seen: Any
) -> None:
    async with app().run_test(size=(120, 40), notifications=True) as pilot:
        await until(pilot, lambda: "a approve" in seen(pilot.app))
        for no in ("n", "enter", "escape", "Y"):
            await pilot.press("a")
            await until(pilot, lambda: "Approve 1 job?" in seen(pilot.app))
            text = seen(pilot.app)
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
            await until(pilot, lambda: isinstance(pilot.app.screen, JobsScreen))
        assert answers(daemon) == []
        await pilot.press("a")
        await until(pilot, lambda: isinstance(pilot.app.screen, ReasonDialog))
        await pilot.press("y")
        await until(pilot, lambda: answers(daemon) == [("approve", {})])
        job["status"] = "QUEUED"
        daemon.happen("job.approved", job)
        await until(pilot, lambda: "00000001 is approved" in seen(pilot.app) and "● queued" in seen(pilot.app))


async def test_what_ran_already_is_only_published(daemon: Any, app: Any, until: Any, seen: Any) -> None:
    daemon.job(5, status="PENDING", waiting={**WAITING, "guards": ["paths.tests"], "by": []})
    async with app().run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "a approve" in seen(pilot.app))
        await pilot.press("a")
        await until(pilot, lambda: "paths.tests, by you" in seen(pilot.app))
        assert "what passed the gates is published; enter, then 3 shows it" in seen(pilot.app)


async def test_approve_with_a_reason(daemon: Any, job: Any, app: Any, until: Any, seen: Any) -> None:
    async with app().run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "a approve" in seen(pilot.app))
        await pilot.press("a")
        await until(pilot, lambda: isinstance(pilot.app.screen, ReasonDialog))
        await pilot.press("tab", *"yes, by me", "enter")
        await until(pilot, lambda: answers(daemon) == [("approve", {"reason": "yes, by me"})])


async def test_deny_needs_a_reason_of_ones_own(daemon: Any, job: Any, app: Any, until: Any, seen: Any) -> None:
    async with app().run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "d deny" in seen(pilot.app))
        await pilot.press("d")
        await until(pilot, lambda: "Deny 1 job?" in seen(pilot.app))
        await pilot.press("enter", "space", "enter")
        await until(pilot, lambda: "a reason is needed here" in seen(pilot.app))
        await pilot.press("y", "escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, JobsScreen))
        assert answers(daemon) == []
        await pilot.press("d")
        await until(pilot, lambda: isinstance(pilot.app.screen, ReasonDialog))
        await pilot.press(*"not now", "enter")
        await until(pilot, lambda: answers(daemon) == [("deny", {"reason": "not now"})])


async def test_several_are_answered_together(daemon: Any, job: Any, app: Any, until: Any, seen: Any) -> None:
    daemon.job(2, status="PENDING", waiting=WAITING)
    async with app().run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "api#2" in seen(pilot.app))
        await pilot.press("space", "space")
        await until(pilot, lambda: "a/d 2" in seen(pilot.app))
        await pilot.press("d")
        await until(pilot, lambda: "Deny 2 jobs?" in seen(pilot.app))
        await pilot.press(*"no", "enter")
        await until(pilot, lambda: answers(daemon) == [("deny", {"reason": "no"})] * 2)


async def test_somebody_is_told_that_a_job_waits(daemon: Any, app: Any, until: Any, seen: Any) -> None:
    async with app().run_test(size=(120, 40), notifications=True) as pilot:
        await until(pilot, lambda: pilot.app.link.live)
        daemon.happen("job.waiting", daemon.job(9, status="PENDING"))
        await until(pilot, lambda: "00000009 waits for you" in seen(pilot.app))


async def test_nothing_waits(daemon: Any, app: Any, until: Any, seen: Any) -> None:
    daemon.job(1)
    async with app().run_test(size=(120, 40)) as pilot:
        await pilot.press("3")
        await until(pilot, lambda: "nothing waits for you" in seen(pilot.app))
