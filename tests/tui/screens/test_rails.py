"""The rails by keys: what is wrong, what changed, and what an edit would have decided."""

from pathlib import Path
from typing import Any

import pytest

from tui.screens.dialogs import ReportDialog
from tui.screens.jobs import JobsScreen
from tui.screens.rails import RailsScreen
from tui.screens.simulation import SimulationScreen
from tui.screens.why import WhyScreen

CHANGES = [
    {"what": "trigger fix-on-command", "change": "changed", "keys": ["repos"], "line": 6},
    {"what": "guard freeze", "change": "added", "keys": [], "line": 7},
    {"what": "group team", "change": "removed", "keys": [], "line": None},
]


@pytest.fixture
def simulation(daemon: Any, papers: Any) -> dict[str, Any]:
    changed = [
        {
            "deliveryId": f"0199f3a1-5c2e-7d11-9a44-{at:012x}",
            "before": before,
            "after": after,
            "decision": {**papers.DECISION, "verdict": after, "reason": f"reason {at}"},
            "receivedAt": "2026-11-22T14:02:11.284Z",
            "event": "issue_comment",
            "action": "created",
            "sender": "github:drive-by",
            "repository": "octo-org/api",
            "thread": None,
        }
        for at, (before, after) in enumerate([("allowed", "denied")] * 3 + [("denied", "allowed")], 1)
    ]
    counts = {"allowed→denied": 3, "denied→allowed": 1}
    daemon.simulation = {"deliveries": 1000, "changed": changed, "counts": counts, "revision": "r-new"}
    return dict(daemon.simulation)


def changed(daemon: Any) -> None:
    before = daemon.rails["text"].replace("weaver", "tailor")
    daemon.rails.update({"before": "r-51bc0000", "changes": CHANGES, "beforeText": before})


async def test_what_changed_is_marked_and_shown(daemon: Any, app: Any, until: Any, seen: Any) -> None:
    changed(daemon)
    async with app().run_test(size=(120, 40)) as pilot:
        await pilot.press("R")
        await until(pilot, lambda: "~   7     tries: 3" in seen(pilot.app) and "Changes 3" in seen(pilot.app))
        await pilot.press("2")
        await until(pilot, lambda: "r-51bc0000 → r-4f2a91c0" in seen(pilot.app))
        text = seen(pilot.app)
        assert "~ trigger fix-on-command changed (repos)  line 6" in text
        assert "+ guard freeze added  line 7" in text
        assert "- group team removed" in text
        assert "-    profile: tailor" in text
        assert "+    profile: weaver" in text


async def test_nothing_changed_yet(app: Any, until: Any, seen: Any) -> None:
    async with app().run_test(size=(120, 40)) as pilot:
        await pilot.press("R")
        await until(pilot, lambda: "profile: weaver" in seen(pilot.app))
        await pilot.press("2")
        await until(pilot, lambda: "nothing changed since the daemon started" in seen(pilot.app))


async def test_the_line_of_an_error_is_shown_with_its_place(daemon: Any, app: Any, until: Any, seen: Any) -> None:
    said = "unknown capability 'git:comit'"
    daemon.rails["error"] = {"line": 34, "column": 11, "message": said, "at": "x", "source": "    needs: git:comit\x1b"}
    async with app().run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: f"▲ rails.yaml:34:11 {said} · kept r-4f2a91c0 from 13:58" in seen(pilot.app))
        await pilot.press("R")
        await until(pilot, lambda: "▲  34     needs: git:comit\\x1b" in seen(pilot.app))
        lines = seen(pilot.app).splitlines()
        at = next(at for at, line in enumerate(lines) if "needs: git:comit" in line)
        assert lines[at + 1].index("▲") == lines[at].index("git:comit") - 1


async def test_a_reload_tells_what_it_would_have_changed(
    daemon: Any, simulation: Any, app: Any, until: Any, seen: Any
) -> None:
    async with app().run_test(size=(160, 40)) as pilot:
        await until(pilot, lambda: "rails r-4f2a91c0" in seen(pilot.app))
        changed(daemon)
        daemon.happen("rails.reloaded", revision="r-4f2a91c0")
        said = "rails r-51bc0000 → r-4f2a91c0 in force · 3 rules changed · of the last 1,000 deliveries: 3 now denied"
        await until(pilot, lambda: said in seen(pilot.app) and "1 newly allowed" in seen(pilot.app))
        body = next(body for path, body in daemon.asked if path == "POST /rails/simulate")
        assert body == {"text": daemon.rails["text"], "limit": 1000}
        await pilot.press("s")
        await until(pilot, lambda: isinstance(pilot.app.screen, SimulationScreen))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, JobsScreen))
        await pilot.press("escape")
        await until(pilot, lambda: "in force" not in seen(pilot.app))


async def test_on_another_screen_it_is_told_too(daemon: Any, app: Any, until: Any, seen: Any) -> None:
    async with app().run_test(size=(120, 40), notifications=True) as pilot:
        await until(pilot, lambda: "rails r-4f2a91c0" in seen(pilot.app))
        await pilot.press("t")
        await until(pilot, lambda: "no events yet" in seen(pilot.app))
        changed(daemon)
        daemon.happen("rails.reloaded")
        await until(pilot, lambda: "3 rules changed" in seen(pilot.app))


async def test_the_text_goes_to_a_pager(app: Any, until: Any, seen: Any) -> None:
    async with app().run_test(size=(120, 40), notifications=True) as pilot:
        await pilot.press("R")
        await until(pilot, lambda: "profile: weaver" in seen(pilot.app))
        await pilot.press("o")
        await until(pilot, lambda: "suspend" in seen(pilot.app).lower())  # what a test stands in has no terminal


async def test_a_broken_edit_is_said_until_it_is_mended(daemon: Any, app: Any, until: Any, seen: Any) -> None:
    async with app().run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: pilot.app.link.live)
        daemon.rails["error"] = {"line": 3, "column": 1, "message": "no such key", "at": "x"}
        daemon.happen("rails.rejected", line=3)
        await until(pilot, lambda: "▲ rails.yaml:3:1 no such key" in seen(pilot.app))
        await pilot.press("escape")
        assert "no such key" in seen(pilot.app)
        daemon.rails["error"] = None
        daemon.happen("rails.reloaded")
        await until(pilot, lambda: "no such key" not in seen(pilot.app) and "in force" in seen(pilot.app))


async def test_an_edited_file_is_tried(
    daemon: Any, simulation: Any, app: Any, until: Any, seen: Any, tmp_path: Path
) -> None:
    (tmp_path / "rails.yaml").write_text("version: 2\n", "utf-8")
    async with app().run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: pilot.app.link.live)
        await pilot.press("R", "s")
        await until(pilot, lambda: "Simulate which file?" in seen(pilot.app))
        await pilot.press("enter")
        await until(pilot, lambda: "3 now denied, 1 newly allowed, of 1,000 deliveries" in seen(pilot.app))
        assert ("POST /rails/simulate", {"text": "version: 2\n", "limit": 1000}) in daemon.asked
        assert "00000001  allowed → denied  issue_comment on octo-org/api by github:drive-by  reason 1" in seen(
            pilot.app
        )
        await pilot.press("down", "end")
        await until(pilot, lambda: "ALLOWED" in seen(pilot.app) and "reason 4" in seen(pilot.app))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, WhyScreen))


async def test_nothing_would_change(daemon: Any, app: Any, until: Any, seen: Any, tmp_path: Path) -> None:
    (tmp_path / "rails.yaml").write_text("version: 1\n", "utf-8")
    async with app().run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: pilot.app.link.live)
        await pilot.press("R", "s")
        await until(pilot, lambda: "Simulate which file?" in seen(pilot.app))
        await pilot.press("enter")
        await until(pilot, lambda: "nothing would change, of 1,000 deliveries" in seen(pilot.app))
        assert "each of them would be decided as it was" in seen(pilot.app)


async def test_a_file_that_is_no_good_says_why(
    daemon: Any, papers: Any, app: Any, until: Any, seen: Any, tmp_path: Path
) -> None:
    (tmp_path / "rails.yaml").write_text("jobs: []\n", "utf-8")
    fault = {"line": 1, "column": 7, "message": "jobs takes a mapping"}
    daemon.simulation = papers.problem(422, "invalid", "rails.yaml:1:7: jobs", faults=[fault])
    async with app().run_test(size=(120, 40), notifications=True) as pilot:
        await until(pilot, lambda: pilot.app.link.live)
        await pilot.press("R", "s")
        await until(pilot, lambda: "Simulate which file?" in seen(pilot.app))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, ReportDialog))
        assert "jobs takes a mapping" in seen(pilot.app)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, RailsScreen))
        await pilot.press("s")
        await until(pilot, lambda: "Simulate which file?" in seen(pilot.app))
        await pilot.press(*"x", "enter")
        await until(pilot, lambda: "No such file" in seen(pilot.app))


async def test_why_leads_to_the_line_that_decided(daemon: Any, papers: Any, app: Any, until: Any, seen: Any) -> None:
    job = daemon.job(7)
    decision = {**papers.DECISION, "remedy": {"text": "add her", "line": 6}}
    daemon.details[job["id"]] = {"decision": decision}
    async with app().run_test(size=(120, 30)) as pilot:
        await until(pilot, lambda: "api#7" in seen(pilot.app))
        await pilot.press("w")
        await until(pilot, lambda: "o open rails here" in seen(pilot.app))
        assert "a approve" not in seen(pilot.app)
        await pilot.press("o")
        await until(pilot, lambda: "▶   6     profile: weaver" in seen(pilot.app))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, WhyScreen))
        await pilot.press("s")
        await until(pilot, lambda: "Simulate which file?" in seen(pilot.app))


async def test_what_waits_can_be_answered_where_it_says_why(
    daemon: Any, papers: Any, app: Any, until: Any, seen: Any
) -> None:
    job = daemon.job(7, status="PENDING")
    daemon.details[job["id"]] = {"decision": papers.DECISION}
    async with app().run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "api#7" in seen(pilot.app))
        await pilot.press("w")
        await until(pilot, lambda: "a approve  d deny" in seen(pilot.app))
        await pilot.press("a")
        await until(pilot, lambda: "Approve 1 job?" in seen(pilot.app))
        await pilot.press("y")
        await until(pilot, lambda: (f"POST /runner-jobs/{job['id']}/approve", {}) in daemon.asked)
        job["status"] = "RUNNING"
        daemon.happen("job.approved", job)
        await until(pilot, lambda: "a approve" not in seen(pilot.app))
