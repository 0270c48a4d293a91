"""What a running step says last, as one plain line: of its output, or of an event."""

import re
from typing import Any

LINE_MAX = 160  # characters of a line

_ESCAPE = re.compile(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]?")
_RULE = re.compile(r"^([=\-_*~#─═])\1+(?:\s+|$)|\s+([=\-_*~#─═])\2+$")  # what surrounds a heading
_MAKE = re.compile(r"make(?:\[\d+\])?: (?:\*\*\*|Entering|Leaving)")  # says no more than that a command failed
_JOINERS = "\u200c\u200d"  # needed to spell Persian and Hindi, and in emoji
_TOLD_BY = {"step.progress", "ai.tool_called", "ai.tool_denied"}
_KEYS = ("text", "message", "detail", "name", "reason")


def last_line(text: str) -> str | None:
    """Return the last line that says something, without control characters and rules around it, or None.

    Of a line that was overwritten after a carriage return only the last state counts.
    """
    for line in reversed(text.split("\n")):
        for state in reversed(line.split("\r")):
            shown = _plain(state)
            if shown and not _MAKE.match(shown):
                return shown[:LINE_MAX]
    return None


def activity_line(type_: str, payload: dict[str, Any]) -> str | None:
    """Return what an event tells about a running step, with the name of a tool first; None where it tells nothing."""
    if type_ == "step.output":
        return last_line(str(payload.get("text") or ""))
    if type_ not in _TOLD_BY:
        return None
    detail = next((payload[key] for key in _KEYS if payload.get(key)), "")
    return _plain(f"{payload.get('tool') or ''} {detail}")[:LINE_MAX] or None


def _plain(text: str) -> str:
    text = _ESCAPE.sub("", text)
    if not text.isprintable():
        text = "".join(each if each.isprintable() or each in _JOINERS else " " for each in text)
    return _RULE.sub("", " ".join(text.split())).strip()
