"""Text from outside is shown, never interpreted by the terminal."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.text.plain import plain, plain_json, truncate, width

HOSTILE = {"Cc", "Cf", "Cs", "Zl", "Zp"}
JOINERS = "\u200c\u200d"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("drop the last row", "drop the last row"),
        ("\x1b[2Jgone", r"\x1b[2Jgone"),
        ("\x9b31m", r"\x9b31m"),
        ("a\rb\nc\td", r"a\rb\nc\td"),
        ("\x00\x7f\x85", r"\x00\x7f\x85"),
        ("user\u202egpj.exe", r"user\u202egpj.exe"),
        ("\u2066a\u2069\u200e\ufeff", r"\u2066a\u2069\u200e\ufeff"),
        ("tag\U000e0041", r"tag\U000e0041"),
        ("half \ud800", r"half \ud800"),
        ("a\xa0b\u3000c", "a b c"),
        ("日本 👩\u200d💻 é", "日本 👩\u200d💻 é"),
    ],
)
def test_plain(text: str, shown: str) -> None:
    assert plain(text) == shown


@given(st.text(st.characters(exclude_categories=())))
def test_no_control_character_is_left(text: str) -> None:
    shown = plain(text)
    assert not {unicodedata.category(c) for c in shown if c not in JOINERS} & HOSTILE
    assert len(shown) >= len(text)


@given(st.text())
def test_json_stays_the_same_document(text: str) -> None:
    document = json.dumps({"title": text}, ensure_ascii=False, indent=1).encode()
    shown = plain_json(document)
    assert json.loads(shown) == {"title": text}
    assert not {unicodedata.category(c) for c in shown if c not in JOINERS + "\n\t"} & HOSTILE


@given(st.text(st.characters(categories=["L", "N", "Mn"])), st.integers(0, 20))
def test_truncated_text_fits(text: str, cells: int) -> None:
    shown = truncate(text, cells)
    assert width(shown) <= cells
    assert (shown == text) == (width(text) <= cells)


def test_wide_characters_take_two_cells() -> None:
    assert width("日本") == 4
    assert width("e\u0301") == 1
    assert truncate("日本語", 4) == "日…"
