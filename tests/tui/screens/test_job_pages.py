"""The pages of a job, by keys: log, diff, events, and their export."""

import json
from functools import partial
from pathlib import Path

import pytest
from textual.app import App
from textual.pilot import Pilot

from tests.tui import documents
from tests.tui.documents import Document
from tests.tui.fake_daemon import FakeDaemon
from tests.tui.screens.screen import MakeApp, screen_text, wait_for_text, wait_until
from tui.screens.job import JobScreen
from tui.widgets.log_panel import LogPanel

PROMPT_PAGE = b"no agent was sent anything yet; this is the prompt\n\nmend it\n"
DIFF = b"""\
 pages.py | 2 +-
 1 file changed, 1 insertion(+), 1 deletion(-)

diff --git a/pages.py b/pages.py
--- a/pages.py
+++ b/pages.py
@@ -4,9 +4,9 @@
-    return rows \x1b[2J
+    return rows[:size]\rhidden
"""


@pytest.fixture
def job(daemon: FakeDaemon) -> Document:
    """A job of two attempts, whose last gate printed a thousand lines."""
    job = daemon.job(
        479,
        status="FAILED",
        attempt=2,
        queuedAt=_at(60),
        startedAt=_at(61),
        error={"code": "gates_failed", "detail": "gate tests failed", "hint": None},
    )
    gate = {"phase": "VALIDATION", "type": "GATE", "status": "FAILED", "exitCode": 1, "try": 1, "jobId": job["id"]}
    steps = [
        documents.step(1, "tests", **{**gate, "attempt": 1}, startedAt=_at(5), completedAt=_at(9)),
        documents.step(2, "tests", **{**gate, "attempt": 2}, startedAt=_at(65), completedAt=_at(69)),
    ]
    steps[1]["ordinal"] = 1
    daemon.logs["step-1"] = b"the first attempt\n"
    daemon.logs["step-2"] = b"".join(b"%s %03d\n" % (b"odd" if at % 2 else b"even", at) for at in range(1000))
    daemon.diffs[f"{job['id']}/2"] = DIFF
    origin = {"stepId": "step-2", "jobId": job["id"]}
    events = [
        {**documents.event(1, "step.output", offset=0, length=4000, text="even 000"), **origin, "timestamp": _at(66)},
        {**documents.event(2, "step.output", offset=4000, length=4500, text="odd 999"), **origin, "timestamp": _at(67)},
        {**documents.event(3, "gate.failed", name="tests"), **origin},
    ]
    daemon.details[job["id"]] = {"steps": steps, "events": events, "prompt": "mend it"}
    return job


def _at(second: int) -> str:
    return f"2026-11-22T14:{2 + second // 60:02}:{second % 60:02}.000Z"


async def _open(pilot: Pilot[None]) -> None:
    await wait_for_text(pilot, "octo-org/api#479")
    await pilot.press("enter")
    await wait_until(pilot, lambda: isinstance(pilot.app.screen, JobScreen) and "odd 999" in screen_text(pilot.app))


def _style(app: App[None], text: str) -> str:
    """Return the colour that a text on the screen begins with."""
    for strip in app.screen._compositor.render_strips():
        for segment in strip:
            if text in segment.text and segment.style and segment.style.color:
                return str(segment.style.color.name)
    raise AssertionError(text)


async def test_the_diff_is_coloured_and_its_control_characters_have_no_effect(job: Document, make_app: MakeApp) -> None:
    async with make_app().run_test(size=(160, 30)) as pilot:
        await _open(pilot)
        await pilot.press("3")
        await wait_for_text(pilot, "@@ -4,9 +4,9 @@")
        text = screen_text(pilot.app)
        assert "-    return rows \\x1b[2J" in text
        assert "+    return rows[:size]\\rhidden" in text
        removed, added = _style(pilot.app, "-    return"), _style(pilot.app, "+    return")
        assert len({removed, added, _style(pilot.app, "1 file changed")}) == 3
        await pilot.press("ampersand", *"return", "enter")
        await wait_for_text(pilot, "2 lines with return", absent="@@ -4")
        await pilot.press("escape")
        await wait_for_text(pilot, "@@ -4")
        await pilot.press("slash", *"RETURN", "enter")
        await wait_for_text(pilot, "1 of 2")
        await pilot.press("n")
        await wait_for_text(pilot, "2 of 2")
        await pilot.press("n")
        await wait_for_text(pilot, "return is not below")


async def test_the_conversation_is_that_of_the_selected_try_and_the_prompt_before_it(
    daemon: FakeDaemon, job: Document, make_app: MakeApp
) -> None:
    async with make_app().run_test(size=(120, 30)) as pilot:
        await _open(pilot)
        await pilot.press("5")
        await wait_for_text(pilot, "no agent was sent anything yet", "mend it")
        agent = {"phase": "EXECUTION", "type": "AI_ACTION", "jobId": job["id"], "try": 1}
        times = {"startedAt": _at(62), "completedAt": None, "status": "RUNNING"}
        steps = daemon.details[job["id"]]["steps"]
        steps[1:1] = [documents.step(3, "claude", **agent, attempt=2, **times)]
        daemon.conversations["step-3"] = b"=== prompt ===\nmend all\n\n=== output ===\nI look\x1b[2J at it\n"
        daemon.commit_event("step.started", job, "step-3")
        await wait_for_text(pilot, "CONVERSATION  claude (try 1)", "mend all", "I look\\x1b[2J at it")
        assert _style(pilot.app, "=== prompt ===") != _style(pilot.app, "mend all")
        daemon.conversations["step-3"] += b"[Read: pages.py]\n"
        daemon.commit_event("step.output", job, "step-3", offset=0, length=17, text="[Read: pages.py]")
        await wait_for_text(pilot, "[Read: pages.py]")


async def test_the_raw_output_in_place_of_the_log(daemon: FakeDaemon, job: Document, make_app: MakeApp) -> None:
    daemon.raw_logs["step-2"] = b'{"type": "result"}\n'
    async with make_app().run_test(size=(120, 30)) as pilot:
        await _open(pilot)
        await pilot.press("u")
        await wait_for_text(pilot, "RAW OUTPUT  tests (try 1)", '{"type": "result"}', absent="odd 999")
        await pilot.press("u")
        await wait_for_text(pilot, "LOG  tests (try 1)", "odd 999")


async def test_an_attempt_without_a_diff(daemon: FakeDaemon, job: Document, make_app: MakeApp) -> None:
    daemon.diffs[f"{job['id']}/1"] = b""
    del daemon.diffs[f"{job['id']}/2"]
    async with make_app().run_test(size=(120, 30)) as pilot:
        await _open(pilot)
        await pilot.press("3")
        await wait_for_text(pilot, "past its retention")
        await pilot.press("left_square_bracket")
        await wait_for_text(pilot, "nothing was changed")


async def test_a_filter_shows_only_the_lines_that_hold_a_text(
    daemon: FakeDaemon,
    job: Document,
    make_app: MakeApp,
) -> None:
    async with make_app().run_test(size=(120, 30)) as pilot:
        await _open(pilot)
        await pilot.press("ampersand", *"ODD 11", "enter")
        await wait_for_text(pilot, "5 lines with odd 11", absent="even")
        daemon.logs["step-2"] += b"odd 11 more\n"
        daemon.commit_event("step.output", job, "step-2", offset=8500, length=12, text="odd 11 more")
        await wait_for_text(pilot, "6 lines", "odd 11 more")
        await pilot.press("home", "enter")
        await wait_for_text(pilot, "odd 111", "even 112")
        await pilot.press("ampersand", *"nowhere", "enter")
        await wait_for_text(pilot, "0 lines with nowhere")
        await pilot.press("ampersand", *["backspace"] * 7, "enter")
        await wait_for_text(pilot, "even")
        assert not pilot.app.screen.query_one("#log", LogPanel).filter


async def test_times_are_shown_beside_a_log(job: Document, make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 30)) as pilot:
        await _open(pilot)
        await pilot.press("T")
        await wait_for_text(pilot, "14:03:07 odd 999")
        await pilot.press("tab", "home")
        await wait_for_text(pilot, "14:03:06 even 000")
        await pilot.press("T")
        await wait_for_text(pilot, absent="14:03:06")


async def test_an_output_event_leads_to_its_place_in_the_log(job: Document, make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 30)) as pilot:
        await _open(pilot)
        await pilot.press("2")
        await wait_for_text(pilot, "3 of 3 events")
        await pilot.press("tab", "ampersand", *"step.output", "enter")
        await wait_for_text(pilot, "2 of 3 events")
        await pilot.press("end", "enter")
        await wait_for_text(pilot, "even 470", "LOG  tests")


async def test_all_events_are_requested_when_their_page_is_shown(
    daemon: FakeDaemon,
    job: Document,
    make_app: MakeApp,
) -> None:
    details = daemon.details[job["id"]]
    details["past"], details["events"] = details["events"], details["events"][2:]
    daemon.events.append({**documents.event(9, "delivery.received"), "jobId": None})
    async with make_app().run_test(size=(120, 30)) as pilot:
        await _open(pilot)
        await pilot.press("2")
        await wait_for_text(pilot, "3 of 3 events", "step.output")
        daemon.commit_event("job.retried", job)
        await wait_for_text(pilot, "4 of 4 events", "job.retried")


async def test_the_page_takes_the_full_width(job: Document, make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 30)) as pilot:
        await _open(pilot)
        await pilot.press("x")
        await wait_for_text(pilot, "odd 999", absent="STEPS")
        await pilot.press("x")
        await wait_for_text(pilot, "STEPS")


@pytest.mark.parametrize(
    ("key", "there", "name", "begins"),
    [
        ("1", "odd 999", "stitcher-000001df-tests-1.log", b"even 000\n"),
        ("2", "3 of 3 events", "stitcher-000001df-events.jsonl", b'{"id": 1'),
        ("3", "@@ -4", "stitcher-000001df.diff", b" pages.py"),
        ("5", "mend it", "stitcher-000001df-conversation.txt", PROMPT_PAGE),
        ("6", '"status"', "stitcher-000001df.json", b'{"id": '),
    ],
)
async def test_each_page_is_exported_and_paged(
    job: Document, make_app: MakeApp, key: str, there: str, name: str, begins: bytes,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    async with make_app().run_test(size=(120, 30)) as pilot:
        await _open(pilot)
        await pilot.press(key)
        await wait_for_text(pilot, there)
        for expected in (name, name.replace(".", "-2.")):
            await pilot.press("e")
            await wait_until(pilot, (tmp_path / expected).is_file)
            await wait_until(pilot, partial(_begins_with, tmp_path / expected, begins))
        screen = pilot.app.screen
        assert isinstance(screen, JobScreen)
        body = screen._body
        lines = "\n".join(body.page_lines())
        assert "\x1b" not in lines
        assert there in lines or key == "2"
        await pilot.press("Y")
        copied = pilot.app.clipboard
        assert json.loads(copied)["type"] == "gate.failed" if key == "2" else there in copied


def _begins_with(path: Path, content: bytes) -> bool:
    return path.read_bytes().startswith(content)
