"""What a desktop notice says, and the escape sequence by which a terminal shows it."""

import re
from collections.abc import Mapping, Sequence

from shared import ids
from shared.models import JobEvent
from tui.text.plain import plain

ALERTED = {"job.failed": "failed", "job.waiting": "waits for an approval"}
_TITLE = "stitcher"
_CODE = re.compile(r"[a-z_]{1,40}")
_WITHOUT_ESCAPES = ("linux", "dumb")  # values of TERM
_KNOW_777 = ("rxvt", "foot")  # beginnings of TERM: of the two sequences these have this one, others have OSC 9


def alert_text(events: Sequence[JobEvent]) -> str:
    """Return the line that tells of one event or several of types in ALERTED; nothing in it is a text of others."""
    if len(events) == 1:
        [event] = events
        code = event.payload.get("code") if event.type == "job.failed" else None
        reason = f": {code}" if isinstance(code, str) and _CODE.fullmatch(code) else ""
        return plain(f"job {ids.short_id(event.job_id or '')} {ALERTED[event.type]}{reason}")
    failed = sum(event.type == "job.failed" for event in events)
    waiting = len(events) - failed
    parts = [f"{failed} failed"] if failed else []
    parts += [f"{waiting} waiting for an approval"] if waiting else []
    return f"jobs: {', '.join(parts)}"


def desktop_notice(text: str, environ: Mapping[str, str]) -> str:
    """Return the sequence that shows a plain text as a desktop notice, empty for a terminal that would print it.

    Only one of the two usual sequences is sent: some terminals know both, and would show the notice twice.
    """
    term = environ.get("TERM", "")
    if term in _WITHOUT_ESCAPES:
        return ""
    words = plain(text).replace(";", ",")
    if term.startswith(_KNOW_777) or "VTE_VERSION" in environ:
        sequence = f"\x1b]777;notify;{_TITLE};{words}\x1b\\"
    else:
        sequence = f"\x1b]9;{_TITLE}: {words}\x1b\\"
    if "TMUX" in environ:  # which hands on what is in such a frame, if allow-passthrough is on
        escaped = sequence.replace("\x1b", "\x1b\x1b")
        return f"\x1bPtmux;{escaped}\x1b\\"
    return sequence
