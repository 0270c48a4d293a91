"""The other screens by keys: tail, deliveries, rails, why, help, dispatch, export."""

import json
from pathlib import Path
from typing import Any

import pytest

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


async def test_the_tail_begins_with_the_past_and_goes_on(daemon: Any, app: Any, until: Any, seen: Any) -> None:
    job = daemon.job(7)
    for number in range(50):
        daemon.happen("job.started", job, attempt=number)
    async with app().run_test(size=(120, 20)) as pilot:
        await pilot.press("t")
        await until(pilot, lambda: "attempt=49" in seen(pilot.app))
        daemon.happen("gate.failed", job, name="\x1b[2Jtests")
        await until(pilot, lambda: "gate.failed       name=\\x1b[2Jtests" in seen(pilot.app))
        assert seen(pilot.app).count("attempt=49") == 1


async def test_the_tail_is_paused(daemon: Any, app: Any, until: Any, seen: Any) -> None:
    job = daemon.job(7)
    daemon.happen("job.created", job)
    async with app().run_test(size=(120, 20)) as pilot:
        await pilot.press("t")
        await until(pilot, lambda: "job.created" in seen(pilot.app))
        await pilot.press("p")
        for number in range(17):
            daemon.happen("job.started", job, attempt=number)
        await until(pilot, lambda: "+17 new" in seen(pilot.app))
        assert "attempt" not in seen(pilot.app)
        await pilot.press("p")
        await until(pilot, lambda: "attempt=16" in seen(pilot.app) and "18 events" in seen(pilot.app))


async def test_the_tail_is_narrowed_and_searched(daemon: Any, app: Any, until: Any, seen: Any) -> None:
    job = daemon.job(7)
    for number in range(100):
        daemon.happen("job.started" if number % 10 else "gate.failed", job, count=number)
    async with app().run_test(size=(120, 20)) as pilot:
        await pilot.press("t")
        await until(pilot, lambda: "100 events" in seen(pilot.app))
        await pilot.press("ampersand", *"Gate", "enter")
        await until(pilot, lambda: "10 of 100" in seen(pilot.app))
        daemon.happen("job.completed", job)
        daemon.happen("gate.failed", job, count=777)
        await until(pilot, lambda: "11 of 102" in seen(pilot.app))
        await pilot.press("slash", *"count=30", "enter")
        events = pilot.app.screen.query_one(EventList)
        await until(pilot, lambda: events.event and events.event.payload == {"count": 30})
        await pilot.press("N", "slash", *"nowhere", "enter")
        await until(pilot, lambda: "nowhere is not above" in seen(pilot.app))


async def test_the_tail_forgets(daemon: Any, app: Any, until: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.widgets.events.KEPT", 100)
    async with app().run_test(size=(120, 20)) as pilot:
        await pilot.press("t")
        await until(pilot, lambda: pilot.app.link.live)
        for number in range(1000):
            daemon.happen("job.started", count=number)
        events = pilot.app.screen.query_one(EventList)
        await until(pilot, lambda: events.event and events.event.payload == {"count": 999})
        assert events.total <= 125


async def test_the_tail_leads_to_the_job(daemon: Any, app: Any, until: Any) -> None:
    daemon.happen("job.created", daemon.job(7))
    async with app().run_test(size=(120, 20)) as pilot:
        await pilot.press("t")
        await until(pilot, lambda: pilot.app.screen.query_one(EventList).count == 1)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, JobScreen))
        await pilot.press("t")
        await until(pilot, lambda: isinstance(pilot.app.screen, TailScreen))
        assert len(pilot.app.screen_stack) == 2


@pytest.fixture
def deliveries(daemon: Any, papers: Any) -> None:
    for number in range(250):
        delivery = {**papers.DELIVERY, "id": f"0199f3a1-5c2e-7d11-9a44-{number:012x}"}
        daemon.deliveries.insert(0, {**delivery, "headers": {"X-GitHub-Event": "issue_comment"}})


async def test_deliveries(daemon: Any, deliveries: Any, papers: Any, app: Any, until: Any, seen: Any) -> None:
    async with app().run_test(size=(120, 40)) as pilot:
        await pilot.press("d")
        await until(pilot, lambda: "000000f9  ✗ denied" in seen(pilot.app) and "to allow it" in seen(pilot.app))
        await pilot.press("2")
        await until(pilot, lambda: '"action": "created"' in seen(pilot.app))
        await pilot.press("3")
        await until(pilot, lambda: "X-GitHub-Event: issue_comment" in seen(pilot.app))
        await pilot.press("end")
        screen = pilot.app.screen
        assert isinstance(screen, DeliveriesScreen)
        await until(pilot, lambda: screen.deliveries.count == 200)
        await pilot.press("home", "down")
        new = {**papers.DELIVERY, "id": f"0199f3a1-5c2e-7d11-9a44-{999:012x}", "verdict": "allowed"}
        daemon.deliveries.insert(0, new)
        daemon.happen("delivery.received")
        await until(pilot, lambda: screen.deliveries.count == 201)
        assert screen.deliveries.delivery
        assert screen.deliveries.delivery.id.endswith("f8")


async def test_a_replay_is_first_rehearsed(daemon: Any, deliveries: Any, app: Any, until: Any, seen: Any) -> None:
    async with app().run_test(size=(120, 40), notifications=True) as pilot:
        await pilot.press("d")
        await until(pilot, lambda: "✗ denied" in seen(pilot.app))
        await pilot.press("r")
        await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmDialog))
        text = seen(pilot.app)
        assert "then  denied: who: github:drive-by" in text
        assert "now   allowed: replayed" in text
        assert "a job starts" in text
        await pilot.press("y")
        await until(
            pilot,
            lambda: isinstance(pilot.app.screen, DeliveriesScreen) and "allowed: replayed" in seen(pilot.app),
        )
        bodies = [body for path, body in daemon.asked if path.endswith("/replay")]
        assert bodies == [{"dryRun": True}, {"dryRun": False}]


async def test_a_replay_that_is_not_meant_is_only_rehearsed(
    daemon: Any, deliveries: Any, app: Any, until: Any, seen: Any
) -> None:
    async with app().run_test(size=(120, 40)) as pilot:
        await pilot.press("d")
        await until(pilot, lambda: "✗ denied" in seen(pilot.app))
        await pilot.press("r")
        await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmDialog))
        await pilot.press("n")
        await until(pilot, lambda: isinstance(pilot.app.screen, DeliveriesScreen))
        assert [body for path, body in daemon.asked if path.endswith("/replay")] == [{"dryRun": True}]


async def test_no_deliveries_yet(app: Any, until: Any, seen: Any) -> None:
    async with app().run_test(size=(120, 40)) as pilot:
        await pilot.press("d")
        await until(pilot, lambda: "nothing came in yet" in seen(pilot.app))


async def test_rails(daemon: Any, app: Any, until: Any, seen: Any) -> None:
    async with app().run_test(size=(120, 20)) as pilot:
        await pilot.press("R")
        await until(pilot, lambda: "▲   6     profile: weaver" in seen(pilot.app))
        assert "r-4f2a91c0 in force since 13:58:00 · 1 warning" in seen(pilot.app)
        daemon.rails["error"] = {"line": 34, "column": 17, "message": "unknown capability 'git:comit'", "at": None}
        daemon.happen("rails.rejected")
        await until(
            pilot, lambda: "▲ rails.yaml:34:17 unknown capability 'git:comit' · kept r-4f2a91c0" in seen(pilot.app)
        )
        await until(pilot, lambda: "▲ rails r-4f2a91c0" in seen(pilot.app).splitlines()[0])
        daemon.rails.update(error=None, revision="r-51bc0000")
        daemon.happen("rails.reloaded")
        await until(pilot, lambda: "r-51bc0000 in force" in seen(pilot.app) and "comit" not in seen(pilot.app))


async def test_no_rails_at_all(daemon: Any, app: Any, until: Any, seen: Any) -> None:
    error = {"line": 1, "column": 1, "message": "there is no such file", "at": None}
    daemon.rails.update(revision=None, loadedAt=None, mode=None, text=None, warnings=[], error=error)
    async with app().run_test(size=(120, 20)) as pilot:
        await pilot.press("R")
        await until(pilot, lambda: "no rails are in force: nothing runs" in seen(pilot.app))
        assert "there is no such file · nothing runs until it is mended" in seen(pilot.app)


async def test_why_of_a_job(daemon: Any, papers: Any, app: Any, until: Any, seen: Any) -> None:
    job = daemon.job(7)
    daemon.details[job["id"]] = {"decision": papers.DECISION}
    async with app().run_test(size=(120, 30)) as pilot:
        await until(pilot, lambda: "api#7" in seen(pilot.app))
        await pilot.press("w")
        await until(pilot, lambda: "DENIED" in seen(pilot.app))
        text = seen(pilot.app)
        assert "job 00000007  fix on octo-org/api#7 by source:github/octocat" in text
        assert "✗ who                     github:drive-by, wanted team or mosaic  rails.yaml:9" in text
        assert "to allow it: add github:drive-by to team (rails.yaml:9)" in text
        await pilot.press("escape")
        assert isinstance(pilot.app.screen, JobsScreen)


async def test_why_of_what_was_not_decided(daemon: Any, app: Any, until: Any, seen: Any) -> None:
    daemon.job(7)
    async with app().run_test(size=(120, 30)) as pilot:
        await until(pilot, lambda: "api#7" in seen(pilot.app))
        await pilot.press("w")
        await until(pilot, lambda: "nothing is decided yet" in seen(pilot.app))
        assert isinstance(pilot.app.screen, WhyScreen)


async def test_help_is_made_of_the_bindings(daemon: Any, app: Any, until: Any, seen: Any) -> None:
    daemon.job(7, status="RUNNING")
    async with app().run_test(size=(120, 60)) as pilot:
        await until(pilot, lambda: "api#7" in seen(pilot.app))
        await pilot.press("question_mark")
        await until(pilot, lambda: "Keys of this screen" in seen(pilot.app))
        shown = seen(pilot.app)
        for key, what in (("c", "cancel"), ("down j", "down"), ("e", "export as JSON lines"), ("^p", "palette")):
            assert any(key in line and what in line for line in shown.splitlines()), what
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, JobsScreen))


async def test_the_palette_knows_the_keys(daemon: Any, app: Any, until: Any) -> None:
    daemon.job(7, status="RUNNING")
    async with app().run_test(size=(120, 60)) as pilot:
        await until(pilot, lambda: pilot.app.screen.query("#jobs"))
        names = {command.title for command in pilot.app.get_system_commands(pilot.app.screen)}
        assert {"Tail", "Deliveries", "Rails", "Filter", "Theme"} <= names
        await pilot.press("ctrl+p", *"deliveries", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, DeliveriesScreen))


async def test_dispatch(daemon: Any, app: Any, until: Any, seen: Any) -> None:
    async with app().run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "no jobs yet" in seen(pilot.app))
        await pilot.press("plus")
        await until(pilot, lambda: "Dispatch a job" in seen(pilot.app))
        await pilot.press(*"fix", "tab", *"octo-org/api", "tab", "tab", *"do it", "ctrl+s")
        await until(pilot, lambda: isinstance(pilot.app.screen, JobScreen))
        body = next(body for path, body in daemon.asked if path == "POST /runner-jobs")
        assert body == {"type": "fix", "repository": "octo-org/api", "prompt": "do it"}


async def test_a_dispatch_that_is_denied_says_why(daemon: Any, papers: Any, app: Any, until: Any, seen: Any) -> None:
    daemon.denies = papers.problem(403, "denied", "the rails deny it", decision=papers.DECISION)
    async with app().run_test(size=(120, 40)) as pilot:
        await pilot.press("plus")
        await until(pilot, lambda: "Dispatch a job" in seen(pilot.app))
        await pilot.press(*"fix", "ctrl+s")
        await until(pilot, lambda: "the rails deny it" in seen(pilot.app) and "to allow it" in seen(pilot.app))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, JobsScreen))


async def test_export_of_all_jobs(
    daemon: Any, app: Any, until: Any, seen: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for number in range(1, 701):
        daemon.job(number, status="FAILED" if number % 7 == 0 else "COMPLETED")
    async with app().run_test(size=(120, 40), notifications=True) as pilot:
        await until(pilot, lambda: "api#700" in seen(pilot.app))
        await pilot.press("e")
        await until(pilot, lambda: "700 jobs in stitcher-jobs-2026-11-22T140500.jsonl" in seen(pilot.app))
        lines = (tmp_path / "stitcher-jobs-2026-11-22T140500.jsonl").read_text("utf-8").splitlines()
        assert [json.loads(line)["id"] for line in lines] == [job["id"] for job in daemon.jobs]
        await pilot.press("e")
        await until(pilot, lambda: "File exists" in seen(pilot.app))


@pytest.mark.parametrize("pager", ["sh -c 'cat > {file}'", "sh -c 'head -c 100 > {file}'"])
def test_a_pager_gets_plain_text(daemon: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pager: str) -> None:
    monkeypatch.setenv("PAGER", pager.format(file=tmp_path / "seen"))
    daemon.logs["s"] = b"\x1b]52;c;aGk=\x07\x1b[31mred\x1b[0m\n" + b"more\n" * 100_000
    show_in_pager(iter_lines(DaemonClient(daemon.path), "/runner-jobs/j/steps/s/log", log_line))
    seen = (tmp_path / "seen").read_text("utf-8")
    assert seen.startswith("\\x1b]52;c;aGk=\\x07red\nmore\n")
    assert "cat" not in pager or seen.count("more\n") == 100_000


async def test_without_a_terminal_the_pager_is_refused_in_words(
    daemon: Any, papers: Any, app: Any, until: Any, seen: Any
) -> None:
    job = daemon.job(7)
    daemon.details[job["id"]] = {"steps": [{**papers.step(1, "checkout"), "jobId": job["id"]}]}
    async with app(job=job["id"]).run_test(size=(120, 30), notifications=True) as pilot:
        await until(pilot, lambda: "✓ checkout" in seen(pilot.app))
        await pilot.press("o")
        await until(pilot, lambda: "suspend" in seen(pilot.app).lower())
