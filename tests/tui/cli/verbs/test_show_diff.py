"""`stitcher show --diff`: on a terminal, in a pipe, and without changes."""

import io
import json

import pytest

from tests.tui.fake_api import FakeApi, RunStitcher
from tui.cli.terminal import Terminal
from tui.cli.verbs import show

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


class _Screen(io.StringIO):
    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return 1


@pytest.mark.parametrize("columns", [80, 0])  # a serial line tells no width
def test_show_diff_on_a_terminal_is_coloured_and_plain(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    api.answers["GET /runner-jobs/7f3a1c9d/diff"] = 200, DIFF
    monkeypatch.setattr("os.get_terminal_size", lambda _: type("Size", (), {"columns": columns}))
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


def test_show_diff_in_a_pipe_is_unchanged(api: FakeApi, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
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
