"""Text for diffs: lines with control characters made visible, and their colours."""

from tui.text.plain import plain

_HEADERS = ("diff --git ", "index ", "--- a/", "--- /dev/null", "+++ b/", "+++ /dev/null", "new file ", "deleted file ",
          "rename ", "similarity ", "old mode ", "new mode ", "Binary files ")  # fmt: skip


def diff_line(line: bytes) -> str:
    """Return a line as plain text; escape sequences and carriage returns stay visible to the reviewer."""
    return plain(line.rstrip(b"\n").decode("utf-8", "replace").expandtabs())


def diff_colour(line: str) -> str:
    """Return the colour of a line; empty for unchanged lines."""
    if line.startswith(_HEADERS):
        return "bold"
    return {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")
