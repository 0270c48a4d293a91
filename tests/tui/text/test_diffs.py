"""Diffs in the terminal and in a pipe."""

import io
import json

import pytest

from tests.tui.fake_api import FakeApi, RunStitcher
from tui.cli.terminal import Terminal
from tui.cli.verbs import show
from tui.text import diffs

DIFF = b"""\
 made | 2 +-
diff --git a/made b/made
--- a/made
+++ b/made
@@ -1 +1 @@
-old \x1b[31mred
--- a row of a table
+new\rhidden\xff
"""


@pytest.mark.parametrize(
    ("line", "shown", "colour"),
    [
        (b"+a\x1b[32mb\n", "+a\\x1b[32mb", "green"),
        (b"-a\rb\n", "-a\\rb", "red"),
        (b"@@ -1 +1 @@ def f():\n", "@@ -1 +1 @@ def f():", "cyan"),
        (b"+++ b/made\n", "+++ b/made", "bold"),
        (b"--- a comment of SQL\n", "--- a comment of SQL", "red"),
        (b" \xe2\x80\xaeas it was\n", " \\u202eas it was", ""),
        (b"\n", "", ""),
    ],
)
def test_control_characters_are_shown(line: bytes, shown: str, colour: str) -> None:
    assert diffs.diff_line(line) == shown
    assert diffs.diff_colour(shown) == colour


class _Screen(io.StringIO):
    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return 1


def test_show_diff_on_a_terminal_is_coloured_and_plain(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    api.answers["GET /runner-jobs/7f3a1c9d/diff"] = 200, DIFF
    monkeypatch.setattr("os.get_terminal_size", lambda _: type("Size", (), {"columns": 80}))
    out = _Screen()
    options = type("Options", (), {"job": "7f3a1c9d", "json": False, "socket": str(api.path), "config": None})
    assert show._diff(options, Terminal(io.StringIO(), out, io.StringIO(), {"TERM": "xterm"})) == 0  # type: ignore[arg-type]
    lines = out.getvalue().splitlines()
    assert lines[1] == "\x1b[1mdiff --git a/made b/made\x1b[0m"
    assert lines[5:] == [
        "\x1b[31m-old \\x1b[31mred\x1b[0m",
        "\x1b[31m--- a row of a table\x1b[0m",
        "\x1b[32m+new\\rhidden\N{REPLACEMENT CHARACTER}\x1b[0m",
    ]


def test_show_diff_in_a_pipe_is_what_git_wrote(api: FakeApi, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    api.answers["GET /runner-jobs/7f3a1c9d/diff"] = 200, DIFF
    from tui.__main__ import main

    assert main(["--socket", str(api.path), "show", "7f3a1c9d", "--diff"]) == 0
    assert capfdbinary.readouterr().out == DIFF
    assert main(["--socket", str(api.path), "show", "7f3a1c9d", "--diff", "--json"]) == 0
    assert json.loads(capfdbinary.readouterr().out)["diff"].startswith(" made | 2 +-")


def test_an_empty_diff_is_reported(api: FakeApi, stitcher: RunStitcher) -> None:
    api.answers["GET /runner-jobs/7f3a1c9d/diff"] = 200, b""
    assert stitcher("show", "7f3a1c9d", "--diff") == (0, "", "nothing was changed\n")
    assert stitcher("show", "deadbeef", "--diff")[0] == 5
