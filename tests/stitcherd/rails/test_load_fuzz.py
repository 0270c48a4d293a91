import re

from hypothesis import example, given, settings
from hypothesis import strategies as st

from stitcherd.rails.load import RailsError, parse_rails
from tests.stitcherd.rails.contexts import CONTEXT

pieces = st.sampled_from(
    [
        ":",
        "- ",
        "\t",
        "\n",
        "{",
        "}",
        "[",
        "]",
        "&a ",
        "*a",
        "!!int x",
        "|",
        "> ",
        "#",
        "'",
        '"',
        "%YAML 1.1\n",
        "~",
        "9e9",
        "\0",
        "\ud800",
    ]
)
edits = st.lists(
    st.tuples(st.integers(0, 3000), st.integers(0, 40), pieces | st.text(max_size=8)), min_size=1, max_size=4
)


@settings(max_examples=150, deadline=None)
@given(edits)
def test_an_edited_file_loads_or_is_refused(every_word: str, edits: list[tuple[int, int, str]]) -> None:
    text = every_word
    for at, length, new in edits:
        text = text[:at] + new + text[at + length :]
    _loads_or_is_refused(text)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 3000))
def test_a_half_written_file_loads_or_is_refused(every_word: str, length: int) -> None:
    _loads_or_is_refused(every_word[:length])


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=60) | st.lists(pieces, max_size=12).map("".join))
@example("version: 1\nguards: [{id: {}, if: 1, then: []}]\npeople: [a]\n")
@example("a: !!int x")
@example("version: 1\njobs: {a: {profile: {b: c}}}")
@example("version: 1e999")
@example("version: 1\npaths: {protected: [1]}\ngates: 7")
def test_any_text_loads_or_is_refused(text: str) -> None:
    _loads_or_is_refused(text)
    _loads_or_is_refused("version: 1\n" + text)


def _loads_or_is_refused(text: str) -> None:
    try:
        assert parse_rails(text, CONTEXT).text == text
    except RailsError as error:
        refusal = error
    else:
        return
    lines = len(re.split("[\n\r\x85\u2028\u2029]", text))
    assert refusal.message
    assert 1 <= refusal.line <= lines + 1
    assert refusal.column >= 1
    assert refusal.faults
