"""The line of an output that is shown in a list: one, plain, and the last that says something."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.output import LINE_MAX, activity_line, last_line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", None),
        ("\n \n\t\n", None),
        ("one\ntwo\n\n", "two"),
        ("one\r\ntwo\r\n", "two"),
        ("10 %\r20 %\r", "20 %"),
        ("\x1b[31m2 failed\x1b[0m,  118 passed\n", "2 failed, 118 passed"),
        ("\x1b]0;title\x07done", "done"),
        ("\x1b]0;a title without an end", None),
        ("==== 2 failed, 118 passed in 11.42s ====\n", "2 failed, 118 passed in 11.42s"),
        ("result\n-------\n", "result"),
        ("-1 row\n", "-1 row"),
        ("E   assert 1\nmake[1]: *** [Makefile:3: test] Error 1\nmake: *** [all] Error 2\n", "E assert 1"),
        ("a\x00b\u202ec\u2028d", "a b c d"),
        ("👩\u200d💻", "👩\u200d💻"),
        ("x" * 1000, "x" * LINE_MAX),
    ],
)
def test_the_last_line(text: str, line: str | None) -> None:
    assert last_line(text) == line


@given(st.text(max_size=200) | st.text(st.sampled_from("\x1b[]m0;\x07\r\n =-a\u202e"), max_size=60))
def test_a_line_is_plain_whatever_the_text(text: str) -> None:
    line = last_line(text)
    assert line is None or (line and line.replace("\u200c", "").replace("\u200d", "").isprintable())


@pytest.mark.parametrize(
    ("type_", "payload", "line"),
    [
        ("step.output", {"text": "one\ntwo\n"}, "two"),
        ("step.progress", {"text": "reads\nREADME"}, "reads README"),
        ("ai.tool_called", {"tool": "exec", "detail": "pytest -q"}, "exec pytest -q"),
        ("ai.tool_called", {"tool": "exec", "detail": ""}, "exec"),
        ("ai.tool_denied", {"tool": "Bash", "reason": "not allowed"}, "Bash not allowed"),
        ("ai.tool_denied", {"tool": "\x1b[1mexec"}, "exec"),
        ("ai.tokens_used", {"text": "x"}, None),
        ("step.output", {}, None),
        ("step.progress", {}, None),
    ],
)
def test_what_an_event_tells(type_: str, payload: dict[str, Any], line: str | None) -> None:
    assert activity_line(type_, payload) == line
