"""`stitcher ls`: its lines, its query and its document."""

import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
from typing import Any

import pytest

from tests.tui import documents
from tests.tui.fake_api import FakeApi, RunStitcher

OTHER = "0199f3a1-5c2f-7a60-8e21-5b1f00000002"


def _page(*items: Any, next_: str | None = None) -> tuple[int, dict[str, Any]]:
    return 200, {"items": list(items), "next": next_, "cursor": 9, "counts": {"pending": 0, "running": 1, "failed": 17}}


def test_ls_prints_one_line_per_job(api: FakeApi, stitcher: RunStitcher) -> None:
    failed = documents.job(
        id=OTHER,
        type="triage",
        status="FAILED",
        thread=None,
        repository=None,
        error={"code": "gates_failed", "detail": "gate \x1b[31mtests", "hint": None},
        usage={},
    )
    api.answers["GET /runner-jobs"] = _page(documents.job(lastLine="no changes"), failed, next_=OTHER)
    code, out, err = stitcher("ls")
    assert code == 0
    lines = [line.rsplit("  ", 1)[0].split() for line in out.splitlines()]
    assert lines == [
        ["7f3a1c9d", "✓", "completed", "fix", "octo-org/api#479", "no", "changes", "2/3", "2m40s", "$0.21"],
        ["00000002", "✗", "failed", "triage", "\N{EN DASH}", "gate", "\\x1b[31mtests", "2/3", "2m40s", "\N{EN DASH}"],
    ]
    assert len({line.index("2m40s") for line in out.splitlines()}) == 1
    assert err.splitlines() == ["1 running · 17 failed", f"there are more: add --before {OTHER}"]


def test_ls_omits_the_cost_column_without_costs(api: FakeApi, stitcher: RunStitcher) -> None:
    api.answers["GET /runner-jobs"] = _page(documents.job(usage={}))
    assert "$" not in stitcher("ls")[1]


def test_ls_sends_its_filters(api: FakeApi, stitcher: RunStitcher) -> None:
    api.answers["GET /runner-jobs"] = _page()
    argv = "--status failed --status running --type fix --repo octo-org/api --agent task-7 --limit 2 --before 7f3a1c9d"
    code, out, err = stitcher("ls", *argv.split())
    assert (code, out, err) == (0, "", "no job is older than that one\n")
    query = "status=failed&status=running&type=fix&repository=octo-org%2Fapi&agentTaskId=task-7&limit=2&before=7f3a1c9d"
    assert api.requests == [(f"GET /runner-jobs?{query}", None)]
    assert "no job matches" in stitcher("ls", "--type", "x")[2]


def test_ls_as_json_is_the_document(api: FakeApi, stitcher: RunStitcher) -> None:
    api.answers["GET /runner-jobs"] = _page(documents.job(somethingNew={"a": "\u202e"}))
    code, out, err = stitcher("ls", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == api.answers["GET /runner-jobs"][1]
    assert "\u202e" not in out


@pytest.mark.parametrize(
    ("more", "shown"),
    [
        ({"status": "RUNNING", "completedAt": None}, "▶ running"),
        ({"status": "RUNNING", "completedAt": None, "cancelRequested": True}, "▶ cancelling"),
        ({"status": "QUEUED", "startedAt": None, "completedAt": None}, "● queued"),
        ({"status": "PENDING", "queuedAt": None, "startedAt": None, "completedAt": None}, "◷ waiting"),
        ({"status": "CANCELLED", "startedAt": None}, "⊘ cancelled"),
    ],
)
def test_every_state_has_a_glyph_and_a_word(
    api: FakeApi, stitcher: RunStitcher, more: dict[str, Any], shown: str
) -> None:
    api.answers["GET /runner-jobs"] = _page(documents.job(**more))
    assert shown in stitcher("ls")[1]


def test_threads_are_links_on_a_terminal_and_lines_stay_aligned(api: FakeApi) -> None:
    url = "https://github.com/octo-org/api/issues/479"
    thread = {"kind": "issue", "number": 479, "title": "t", "url": url, "author": None}
    other = {**thread, "number": 7, "url": "javascript:x"}
    api.answers["GET /runner-jobs"] = _page(documents.job(thread=thread), documents.job(thread=other))
    linked, bare = _shown_on_terminal(api, "ls")
    assert f"\x1b]8;;{url}\x1b\\octo-org/api#479\x1b]8;;\x1b\\" in linked
    assert "\x1b]8" not in bare
    plain = linked.replace(f"\x1b]8;;{url}\x1b\\", "").replace("\x1b]8;;\x1b\\", "")
    assert plain.index("2/3") == bare.index("2/3")


def _shown_on_terminal(api: FakeApi, *argv: str) -> list[str]:
    """Return the lines that a terminal of 200 columns is sent."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, 200, 0, 0))
    program = [sys.executable, "-m", "tui", "--socket", str(api.path), *argv]
    environ = {**os.environ, "TERM": "xterm-256color", "NO_COLOR": "1"}
    subprocess.run(program, stdout=theirs, stderr=subprocess.DEVNULL, env=environ, check=True)
    os.close(theirs)
    with os.fdopen(ours, "rb") as screen:
        return screen.read1(65536).decode().split("\r\n")[:2]
