"""The other screens by keys: tail, deliveries, rails, why, help, dispatch, export."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.tui import documents
from tests.tui.fake_daemon import FakeDaemon
from tests.tui.screens.screen import MakeApp, screen_text, stitcher_app, wait_for_text, wait_until
from tui.client.export import iter_lines, show_in_pager
from tui.client.http import DaemonClient
from tui.screens.deliveries import DeliveriesScreen
from tui.screens.dialogs import ConfirmDialog
from tui.screens.job import JobScreen
from tui.screens.jobs import JobsScreen
from tui.screens.tail import TailScreen
from tui.screens.why import WhyScreen
from tui.widgets.events import EventList
from tui.widgets.log_text import log_line


async def test_the_tail_begins_with_the_past_and_goes_on(daemon: FakeDaemon, make_app: MakeApp) -> None:
    job = daemon.job(7)
    for number in range(50):
        daemon.commit_event("job.started", job, attempt=number)
    async with make_app().run_test(size=(120, 20)) as pilot:
        await pilot.press("t")
        await wait_for_text(pilot, "attempt=49")
        daemon.commit_event("gate.failed", job, name="\x1b[2Jtests")
        await wait_for_text(pilot, "gate.failed       name=\\x1b[2Jtests")
        assert screen_text(pilot.app).count("attempt=49") == 1


async def test_the_tail_is_paused(daemon: FakeDaemon, make_app: MakeApp) -> None:
    job = daemon.job(7)
    daemon.commit_event("job.created", job)
    async with make_app().run_test(size=(120, 20)) as pilot:
        await pilot.press("t")
        await wait_for_text(pilot, "job.created")
        await pilot.press("p")
        for number in range(17):
            daemon.commit_event("job.started", job, attempt=number)
        await wait_for_text(pilot, "+17 new")
        assert "attempt" not in screen_text(pilot.app)
        await pilot.press("p")
        await wait_for_text(pilot, "attempt=16", "18 events")


async def test_the_tail_is_narrowed_and_searched(daemon: FakeDaemon, make_app: MakeApp) -> None:
    job = daemon.job(7)
    for number in range(100):
        daemon.commit_event("job.started" if number % 10 else "gate.failed", job, count=number)
    async with make_app().run_test(size=(120, 20)) as pilot:
        await pilot.press("t")
        await wait_for_text(pilot, "100 events")
        await pilot.press("ampersand", *"Gate", "enter")
        await wait_for_text(pilot, "10 of 100")
        daemon.commit_event("job.completed", job)
        daemon.commit_event("gate.failed", job, count=777)
        await wait_for_text(pilot, "11 of 102")
        await pilot.press("slash", *"count=30", "enter")
        events = pilot.app.screen.query_one(EventList)
        await wait_until(pilot, lambda: events.event and events.event.payload == {"count": 30})
        await pilot.press("N", "slash", *"nowhere", "enter")
        await wait_for_text(pilot, "nowhere is not above")


async def test_the_tail_forgets(daemon: FakeDaemon, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.widgets.events.MAX_EVENTS", 100)
    async with make_app().run_test(size=(120, 20)) as pilot:
        await pilot.press("t")
        await wait_until(pilot, lambda: stitcher_app(pilot).session.connection.live)
        for number in range(1000):
            daemon.commit_event("job.started", count=number)
        events = pilot.app.screen.query_one(EventList)
        await wait_until(pilot, lambda: events.event and events.event.payload == {"count": 999})
        assert events.total <= 125


async def test_the_tail_leads_to_the_job(daemon: FakeDaemon, make_app: MakeApp) -> None:
    daemon.commit_event("job.created", daemon.job(7))
    async with make_app().run_test(size=(120, 20)) as pilot:
        await pilot.press("t")
        await wait_until(pilot, lambda: pilot.app.screen.query_one(EventList).count == 1)
        await pilot.press("enter")
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, JobScreen))
        await pilot.press("t")
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, TailScreen))
        assert len(pilot.app.screen_stack) == 2


@pytest.fixture
def deliveries(daemon: FakeDaemon) -> None:
    for number in range(250):
        delivery = {**documents.DELIVERY, "id": f"0199f3a1-5c2e-7d11-9a44-{number:012x}"}
        daemon.deliveries.insert(0, {**delivery, "headers": {"X-GitHub-Event": "issue_comment"}})


async def test_deliveries(daemon: FakeDaemon, deliveries: Any, make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 40)) as pilot:
        await pilot.press("d")
        await wait_for_text(pilot, "000000f9  ✗ denied", "to allow it")
        await pilot.press("2")
        await wait_for_text(pilot, '"action": "created"')
        await pilot.press("3")
        await wait_for_text(pilot, "X-GitHub-Event: issue_comment")
        await pilot.press("end")
        screen = pilot.app.screen
        assert isinstance(screen, DeliveriesScreen)
        await wait_until(pilot, lambda: screen.deliveries.count == 200)
        await pilot.press("home", "down")
        new = {**documents.DELIVERY, "id": f"0199f3a1-5c2e-7d11-9a44-{999:012x}", "verdict": "allowed"}
        daemon.deliveries.insert(0, new)
        daemon.commit_event("delivery.received")
        await wait_until(pilot, lambda: screen.deliveries.count == 201)
        assert screen.deliveries.delivery
        assert screen.deliveries.delivery.id.endswith("f8")


async def test_a_replay_is_first_rehearsed(daemon: FakeDaemon, deliveries: Any, make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 40), notifications=True) as pilot:
        await pilot.press("d")
        await wait_for_text(pilot, "✗ denied")
        await pilot.press("r")
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, ConfirmDialog))
        text = screen_text(pilot.app)
        assert "then  denied: who: github:drive-by" in text
        assert "now   allowed: replayed" in text
        assert "a job starts" in text
        await pilot.press("y")
        await wait_until(
            pilot,
            lambda: isinstance(pilot.app.screen, DeliveriesScreen) and "allowed: replayed" in screen_text(pilot.app),
        )
        bodies = [body for path, body in daemon.requests if path.endswith("/replay")]
        assert bodies == [{"dryRun": True}, {"dryRun": False}]


async def test_a_replay_that_is_not_meant_is_only_rehearsed(
    daemon: FakeDaemon,
    deliveries: Any,
    make_app: MakeApp,
) -> None:
    async with make_app().run_test(size=(120, 40)) as pilot:
        await pilot.press("d")
        await wait_for_text(pilot, "✗ denied")
        await pilot.press("r")
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, ConfirmDialog))
        await pilot.press("n")
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, DeliveriesScreen))
        assert [body for path, body in daemon.requests if path.endswith("/replay")] == [{"dryRun": True}]


async def test_no_deliveries_yet(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 40)) as pilot:
        await pilot.press("d")
        await wait_for_text(pilot, "nothing came in yet")


async def test_rails(daemon: FakeDaemon, make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 20)) as pilot:
        await pilot.press("R")
        await wait_for_text(pilot, "▲   6     profile: weaver")
        assert "r-4f2a91c0 in force since 13:58:00 · 1 warning" in screen_text(pilot.app)
        daemon.rails["error"] = {"line": 34, "column": 17, "message": "unknown capability 'git:comit'", "at": None}
        daemon.commit_event("rails.rejected")
        await wait_for_text(pilot, "▲ rails.yaml:34:17 unknown capability 'git:comit' · kept r-4f2a91c0")
        await wait_until(pilot, lambda: "▲ rails r-4f2a91c0" in screen_text(pilot.app).splitlines()[0])
        daemon.rails.update(error=None, revision="r-51bc0000")
        daemon.commit_event("rails.reloaded")
        await wait_for_text(pilot, "r-51bc0000 in force", absent="comit")


async def test_no_rails_at_all(daemon: FakeDaemon, make_app: MakeApp) -> None:
    error = {"line": 1, "column": 1, "message": "there is no such file", "at": None}
    daemon.rails.update(revision=None, loadedAt=None, mode=None, text=None, warnings=[], error=error)
    async with make_app().run_test(size=(120, 20)) as pilot:
        await pilot.press("R")
        await wait_for_text(pilot, "no rails are in force: nothing runs")
        assert "there is no such file · nothing runs until it is fixed" in screen_text(pilot.app)


async def test_why_of_a_job(daemon: FakeDaemon, make_app: MakeApp) -> None:
    job = daemon.job(7)
    daemon.details[job["id"]] = {"decision": documents.DECISION}
    async with make_app().run_test(size=(120, 30)) as pilot:
        await wait_for_text(pilot, "api#7")
        await pilot.press("w")
        await wait_for_text(pilot, "DENIED")
        text = screen_text(pilot.app)
        assert "job 00000007  fix on octo-org/api#7 by source:github/octocat" in text
        assert "✗ who                     github:drive-by, wanted team or mosaic  rails.yaml:9" in text
        assert "to allow it: add github:drive-by to team (rails.yaml:9)" in text
        await pilot.press("escape")
        assert isinstance(pilot.app.screen, JobsScreen)


async def test_why_of_what_was_not_decided(daemon: FakeDaemon, make_app: MakeApp) -> None:
    daemon.job(7)
    async with make_app().run_test(size=(120, 30)) as pilot:
        await wait_for_text(pilot, "api#7")
        await pilot.press("w")
        await wait_for_text(pilot, "nothing is decided yet")
        assert isinstance(pilot.app.screen, WhyScreen)


async def test_help_is_made_of_the_bindings(daemon: FakeDaemon, make_app: MakeApp) -> None:
    daemon.job(7, status="RUNNING")
    async with make_app().run_test(size=(120, 60)) as pilot:
        await wait_for_text(pilot, "api#7")
        await pilot.press("question_mark")
        await wait_for_text(pilot, "Keys of this screen")
        shown = screen_text(pilot.app)
        for key, what in (("c", "cancel"), ("down j", "down"), ("e", "export as JSON lines"), ("^p", "palette")):
            assert any(key in line and what in line for line in shown.splitlines()), what
        await pilot.press("escape")
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, JobsScreen))


async def test_the_palette_knows_the_keys(daemon: FakeDaemon, make_app: MakeApp) -> None:
    daemon.job(7, status="RUNNING")
    async with make_app().run_test(size=(120, 60)) as pilot:
        await wait_until(pilot, lambda: pilot.app.screen.query("#jobs"))
        names = {command.title for command in pilot.app.get_system_commands(pilot.app.screen)}
        assert {"Tail", "Deliveries", "Rails", "Filter", "Theme"} <= names
        await pilot.press("ctrl+p", *"deliveries", "enter")
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, DeliveriesScreen))


async def test_dispatch(daemon: FakeDaemon, make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 40)) as pilot:
        await wait_for_text(pilot, "no jobs yet")
        await pilot.press("plus")
        await wait_for_text(pilot, "Dispatch a job")
        await pilot.press(*"fix", "tab", *"octo-org/api", "tab", "tab", *"do it", "ctrl+s")
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, JobScreen))
        body = next(body for path, body in daemon.requests if path == "POST /runner-jobs")
        assert body == {"type": "fix", "repository": "octo-org/api", "prompt": "do it"}


async def test_a_dispatch_that_is_denied_says_why(daemon: FakeDaemon, make_app: MakeApp) -> None:
    daemon.dispatch_error = documents.problem(403, "denied", "the rails deny it", decision=documents.DECISION)
    async with make_app().run_test(size=(120, 40)) as pilot:
        await pilot.press("plus")
        await wait_for_text(pilot, "Dispatch a job")
        await pilot.press(*"fix", "ctrl+s")
        await wait_for_text(pilot, "the rails deny it", "to allow it")
        await pilot.press("escape")
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, JobsScreen))


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


@pytest.mark.parametrize("pager", ["sh -c 'cat > {file}'", "sh -c 'head -c 100 > {file}'"])
def test_a_pager_gets_plain_text(
    daemon: FakeDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pager: str
) -> None:
    monkeypatch.setenv("PAGER", pager.format(file=tmp_path / "seen"))
    daemon.logs["s"] = b"\x1b]52;c;aGk=\x07\x1b[31mred\x1b[0m\n" + b"more\n" * 100_000
    show_in_pager(iter_lines(DaemonClient(daemon.path), "/runner-jobs/j/steps/s/log", log_line))
    seen = (tmp_path / "seen").read_text("utf-8")
    assert seen.startswith("\\x1b]52;c;aGk=\\x07red\nmore\n")
    assert "cat" not in pager or seen.count("more\n") == 100_000


async def test_without_a_terminal_the_pager_is_refused_in_words(
    daemon: FakeDaemon,
    make_app: MakeApp,
) -> None:
    job = daemon.job(7)
    daemon.details[job["id"]] = {"steps": [{**documents.step(1, "checkout"), "jobId": job["id"]}]}
    async with make_app(job=job["id"]).run_test(size=(120, 30), notifications=True) as pilot:
        await wait_for_text(pilot, "✓ checkout")
        await pilot.press("o")
        await wait_until(pilot, lambda: "suspend" in screen_text(pilot.app).lower())
