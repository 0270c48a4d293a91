"""Desktop notices: what they say, and how a terminal is told."""

from typing import Any

import pytest

from shared.models import JobEvent
from tui.text.alerts import alert_text, desktop_notice

JOB = "0199f3a1-5c2f-7a60-8e21-5b1f7f3a1c9d"


def event(type_: str, **payload: Any) -> JobEvent:
    return JobEvent(1, JOB, None, type_, "stitcherd", "2026-11-22T14:02:11.284Z", payload)


@pytest.mark.parametrize(
    ("events", "text"),
    [
        ([event("job.failed", code="gate_failed", detail="x\x1b")], "job 7f3a1c9d failed: gate_failed"),
        ([event("job.failed", code="odd\x1b]52;c;x\x07")], "job 7f3a1c9d failed"),
        ([event("job.failed", code=7)], "job 7f3a1c9d failed"),
        ([event("job.waiting", guards=["\x07"])], "job 7f3a1c9d waits for an approval"),
        ([event("job.failed")] * 3 + [event("job.waiting")], "jobs: 3 failed, 1 waiting for an approval"),
        ([event("job.waiting")] * 2, "jobs: 2 waiting for an approval"),
    ],
)
def test_an_alert_says_what_happened_in_words_of_ours(events: list[JobEvent], text: str) -> None:
    assert alert_text(events) == text


@pytest.mark.parametrize(
    ("environ", "sequence"),
    [
        ({}, "\x1b]9;stitcher: a, b\x1b\\"),
        ({"TERM": "xterm-256color"}, "\x1b]9;stitcher: a, b\x1b\\"),
        ({"TERM": "xterm-256color", "VTE_VERSION": "7600"}, "\x1b]777;notify;stitcher;a, b\x1b\\"),
        ({"TERM": "foot-extra"}, "\x1b]777;notify;stitcher;a, b\x1b\\"),
        ({"TERM": "rxvt-unicode-256color"}, "\x1b]777;notify;stitcher;a, b\x1b\\"),
        ({"TERM": "tmux-256color", "TMUX": "/tmp/t,1,0"}, "\x1bPtmux;\x1b\x1b]9;stitcher: a, b\x1b\x1b\\\x1b\\"),
        ({"TERM": "linux"}, ""),
        ({"TERM": "dumb"}, ""),
    ],
)
def test_a_terminal_is_sent_the_sequence_that_it_knows(environ: dict[str, str], sequence: str) -> None:
    assert desktop_notice("a; b", environ) == sequence


def test_no_text_can_end_the_sequence() -> None:
    assert desktop_notice("a\x1b\\\x07\x9c\u202eb", {}) == "\x1b]9;stitcher: a\\x1b\\\\x07\\x9c\\u202eb\x1b\\"
