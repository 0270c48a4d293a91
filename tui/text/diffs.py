"""The lines of a diff as people read them: whole, with nothing in them obeyed, and in a colour by their first sign."""

from tui.text.plain import plain

_HEADS = ("diff --git ", "index ", "--- a/", "--- /dev/null", "+++ b/", "+++ /dev/null", "new file ", "deleted file ",
          "rename ", "similarity ", "old mode ", "new mode ", "Binary files ")  # fmt: skip


def diff_line(line: bytes) -> str:
    """Return a line as it is, plain: whoever reviews a change must see a colour or a return that was put into it."""
    return plain(line.rstrip(b"\n").decode("utf-8", "replace").expandtabs())


def diff_colour(line: str) -> str:
    """Return the colour of a line; empty for what is as it was."""
    if line.startswith(_HEADS):
        return "bold"
    return {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")
