"""Lines of a diff, made harmless and coloured."""

import pytest

from tui.text import diffs


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
