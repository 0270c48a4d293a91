"""The rails by keys: what is wrong, what changed, and what an edit would have decided."""

from pathlib import Path

import pytest

from tests.tui import documents
from tests.tui.documents import Document
from tests.tui.fake_daemon import FakeDaemon
from tests.tui.screens.screen import MakeApp, screen_text, stitcher_app, wait_for_text, wait_until
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
def simulation(daemon: FakeDaemon) -> Document:
    changed = [
        {
            "deliveryId": f"0199f3a1-5c2e-7d11-9a44-{at:012x}",
            "before": before,
            "after": after,
            "decision": {**documents.DECISION, "verdict": after, "reason": f"reason {at}"},
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
    daemon.simulation |= {"changed": changed, "counts": counts}
    return dict(daemon.simulation)


def changed(daemon: FakeDaemon) -> None:
    before = daemon.rails["text"].replace("weaver", "tailor")
    daemon.rails.update({"before": "r-51bc0000", "changes": CHANGES, "beforeText": before})


async def test_what_changed_is_marked_and_shown(daemon: FakeDaemon, make_app: MakeApp) -> None:
    changed(daemon)
    async with make_app().run_test(size=(120, 40)) as pilot:
        await pilot.press("R")
        await wait_for_text(pilot, "~   7     tries: 3", "Changes 3")
        await pilot.press("2")
        await wait_for_text(pilot, "r-51bc0000 → r-4f2a91c0")
        text = screen_text(pilot.app)
        assert "~ trigger fix-on-command changed (repos)  line 6" in text
        assert "+ guard freeze added  line 7" in text
        assert "- group team removed" in text
        assert "-    profile: tailor" in text
        assert "+    profile: weaver" in text


async def test_nothing_changed_yet(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 40)) as pilot:
        await pilot.press("R")
        await wait_for_text(pilot, "profile: weaver")
        await pilot.press("2")
        await wait_for_text(pilot, "nothing changed since the daemon started")


async def test_the_line_of_an_error_is_shown_with_its_place(daemon: FakeDaemon, make_app: MakeApp) -> None:
    said = "unknown capability 'git:comit'"
    daemon.rails["error"] = {"line": 34, "column": 11, "message": said, "at": "x", "source": "    needs: git:comit\x1b"}
    async with make_app().run_test(size=(120, 40)) as pilot:
        await wait_for_text(pilot, f"▲ rails.yaml:34:11 {said} · kept r-4f2a91c0 from 13:58")
        await pilot.press("R")
        await wait_for_text(pilot, "▲  34     needs: git:comit\\x1b")
        lines = screen_text(pilot.app).splitlines()
        at = next(at for at, line in enumerate(lines) if "needs: git:comit" in line)
        assert lines[at + 1].index("▲") == lines[at].index("git:comit") - 1


async def test_a_reload_tells_what_it_would_have_changed(
    daemon: FakeDaemon,
    simulation: Document,
    make_app: MakeApp,
) -> None:
    async with make_app().run_test(size=(160, 40)) as pilot:
        await wait_for_text(pilot, "rails r-4f2a91c0")
        changed(daemon)
        daemon.commit_event("rails.reloaded", revision="r-4f2a91c0")
        said = "rails r-51bc0000 → r-4f2a91c0 in force · 3 rules changed · of the last 1,000 deliveries: 3 now denied"
        await wait_for_text(pilot, said, "1 newly allowed")
        body = next(body for path, body in daemon.requests if path == "POST /rails/simulate")
        assert body == {"text": daemon.rails["text"], "limit": 1000}
        await pilot.press("s")
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, SimulationScreen))
        await pilot.press("escape")
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, JobsScreen))
        await pilot.press("escape")
        await wait_for_text(pilot, absent="in force")


async def test_on_another_screen_it_is_told_too(daemon: FakeDaemon, make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 40), notifications=True) as pilot:
        await wait_for_text(pilot, "rails r-4f2a91c0")
        await pilot.press("t")
        await wait_for_text(pilot, "no events yet")
        changed(daemon)
        daemon.commit_event("rails.reloaded")
        await wait_for_text(pilot, "3 rules changed")


async def test_the_text_goes_to_a_pager(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 40), notifications=True) as pilot:
        await pilot.press("R")
        await wait_for_text(pilot, "profile: weaver")
        await pilot.press("o")
        await wait_until(
            pilot, lambda: "suspend" in screen_text(pilot.app).lower()
        )  # what a test stands in has no terminal


async def test_a_broken_edit_is_said_until_it_is_mended(daemon: FakeDaemon, make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 40)) as pilot:
        await wait_until(pilot, lambda: stitcher_app(pilot).session.connection.live)
        daemon.rails["error"] = {"line": 3, "column": 1, "message": "no such key", "at": "x"}
        daemon.commit_event("rails.rejected", line=3)
        await wait_for_text(pilot, "▲ rails.yaml:3:1 no such key")
        await pilot.press("escape")
        assert "no such key" in screen_text(pilot.app)
        daemon.rails["error"] = None
        daemon.commit_event("rails.reloaded")
        await wait_for_text(pilot, "in force", absent="no such key")


async def test_an_edited_file_is_tried(
    daemon: FakeDaemon, simulation: Document, make_app: MakeApp, tmp_path: Path
) -> None:
    (tmp_path / "rails.yaml").write_text("version: 2\n", "utf-8")
    async with make_app().run_test(size=(120, 40)) as pilot:
        await wait_until(pilot, lambda: stitcher_app(pilot).session.connection.live)
        await pilot.press("R", "s")
        await wait_for_text(pilot, "Simulate which file?")
        await pilot.press("enter")
        await wait_for_text(pilot, "3 now denied, 1 newly allowed, of 1,000 deliveries")
        assert ("POST /rails/simulate", {"text": "version: 2\n", "limit": 1000}) in daemon.requests
        assert "00000001  allowed → denied  issue_comment on octo-org/api by github:drive-by  reason 1" in screen_text(
            pilot.app
        )
        await pilot.press("down", "end")
        await wait_for_text(pilot, "ALLOWED", "reason 4")
        await pilot.press("enter")
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, WhyScreen))


async def test_nothing_would_change(daemon: FakeDaemon, make_app: MakeApp, tmp_path: Path) -> None:
    (tmp_path / "rails.yaml").write_text("version: 1\n", "utf-8")
    async with make_app().run_test(size=(120, 40)) as pilot:
        await wait_until(pilot, lambda: stitcher_app(pilot).session.connection.live)
        await pilot.press("R", "s")
        await wait_for_text(pilot, "Simulate which file?")
        await pilot.press("enter")
        await wait_for_text(pilot, "nothing would change, of 1,000 deliveries")
        assert "each of them would be decided as it was" in screen_text(pilot.app)


async def test_a_file_that_is_no_good_says_why(daemon: FakeDaemon, make_app: MakeApp, tmp_path: Path) -> None:
    (tmp_path / "rails.yaml").write_text("jobs: []\n", "utf-8")
    fault = {"line": 1, "column": 7, "message": "jobs takes a mapping"}
    daemon.simulation = documents.problem(422, "invalid", "rails.yaml:1:7: jobs", faults=[fault])
    async with make_app().run_test(size=(120, 40), notifications=True) as pilot:
        await wait_until(pilot, lambda: stitcher_app(pilot).session.connection.live)
        await pilot.press("R", "s")
        await wait_for_text(pilot, "Simulate which file?")
        await pilot.press("enter")
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, ReportDialog))
        assert "jobs takes a mapping" in screen_text(pilot.app)
        await pilot.press("escape")
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, RailsScreen))
        await pilot.press("s")
        await wait_for_text(pilot, "Simulate which file?")
        await pilot.press(*"x", "enter")
        await wait_for_text(pilot, "No such file")


async def test_why_leads_to_the_line_that_decided(daemon: FakeDaemon, make_app: MakeApp) -> None:
    job = daemon.job(7)
    decision = {**documents.DECISION, "remedy": {"text": "add her", "line": 6}}
    daemon.details[job["id"]] = {"decision": decision}
    async with make_app().run_test(size=(120, 30)) as pilot:
        await wait_for_text(pilot, "api#7")
        await pilot.press("w")
        await wait_for_text(pilot, "o open rails here")
        assert "a approve" not in screen_text(pilot.app)
        await pilot.press("o")
        await wait_for_text(pilot, "▶   6     profile: weaver")
        await pilot.press("escape")
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, WhyScreen))
        await pilot.press("s")
        await wait_for_text(pilot, "Simulate which file?")


async def test_what_waits_can_be_answered_where_it_says_why(
    daemon: FakeDaemon,
    make_app: MakeApp,
) -> None:
    job = daemon.job(7, status="PENDING")
    daemon.details[job["id"]] = {"decision": documents.DECISION}
    async with make_app().run_test(size=(120, 40)) as pilot:
        await wait_for_text(pilot, "api#7")
        await pilot.press("w")
        await wait_for_text(pilot, "a approve  d deny")
        await pilot.press("a")
        await wait_for_text(pilot, "Approve 1 job?")
        await pilot.press("y")
        await wait_until(pilot, lambda: (f"POST /runner-jobs/{job['id']}/approve", {}) in daemon.requests)
        job["status"] = "RUNNING"
        daemon.commit_event("job.approved", job)
        await wait_for_text(pilot, absent="a approve")
