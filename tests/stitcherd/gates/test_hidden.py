"""Characters that a reader does not see: which are found in added text and in names, and which are usual."""

import pytest

from stitcherd.gates.hidden import find_hidden
from stitcherd.gates.patch import SEARCH_CHUNK
from tests.stitcherd.gates.changes import added, change

HIDDEN = {
    "x = 1  # \u202e } \u2066if admin\u2069": "U+202E RIGHT-TO-LEFT OVERRIDE is written here; it reorders the text",
    "a\u200eb": "U+200E LEFT-TO-RIGHT MARK is written here; it reorders the text",
    "a\u200bb": "U+200B ZERO WIDTH SPACE is written here; it has no width",
    "a\u200db": "U+200D ZERO WIDTH JOINER is written here; it has no width",
    "a\u2060b": "U+2060 WORD JOINER is written here; it has no width",
    "a\ufeffb": "U+FEFF ZERO WIDTH NO-BREAK SPACE is written here; it has no width",
    "let \u3164 = 1": "U+3164 HANGUL FILLER is written here; it has no width",
    "soft\u00adhyphen": "U+00AD SOFT HYPHEN is written here; it has no width",
    "hello \U000e0069\U000e0067": "U+E0069 TAG LATIN SMALL LETTER I is written here; it is not shown, and can carry",
    "\U0001f600\U000e0100": "U+E0100 VARIATION SELECTOR-17 is written here; it is not shown, and can carry",
    "\u26a0\ufe0f\ufe0e": "U+FE0E VARIATION SELECTOR-15 is written here; it is not shown, and can carry",
    "# note\rimport os": "U+000D is written here; it ends a line only for some programs",
    "// note\u2028run()": "U+2028 LINE SEPARATOR is written here; it ends a line only for some programs",
    "\x1b[8mhidden\x1b[0m": "U+001B is written here; it controls a terminal",
    "a\x08b": "U+0008 is written here; it controls a terminal",
}
USUAL = [
    "plain text\twith tabs and a form feed\f",
    "CRLF\r",
    "na\u00efve \u2014 \u201cquoted\u201d \u4f60\u597d \u05e9\u05dc\u05d5\u05dd",
    "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",  # Persian
    "\u0915\u094d\u200d\u0937",  # Hindi
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 \u2764\ufe0f\u200d\U0001f525 \u26a0\ufe0f 1\ufe0f\u20e3",  # emoji
    "\u845b\U000e0100",  # a form of an ideograph
]


@pytest.mark.parametrize("text", HIDDEN)
def test_hidden_characters_are_found(text: str) -> None:
    found = list(find_hidden(added("a.py", f"first\n{text}\n")))
    assert [(each.rule, each.line, each.note, each.asks) for each in found][:1] == [("hidden", 2, False, False)]
    assert HIDDEN[text] in " ".join(each.sentence for each in found)


@pytest.mark.parametrize("text", USUAL)
def test_usual_text_is_not_found(text: str) -> None:
    assert list(find_hidden(added("a.py", f"first\n{text}\n"))) == []


def test_a_byte_order_mark_is_usual_only_at_the_start_of_a_file() -> None:
    assert list(find_hidden(added("a.cs", "\ufeffusing System;\n"))) == []
    assert list(find_hidden(change("a.cs", "one\n", "one\n\ufefftwo\n")))


def test_each_kind_is_found_once_in_a_file() -> None:
    found = list(find_hidden(added("a.py", "\u200b \u200b\n\u202e\n\u200b\n")))
    assert [each.line for each in found] == [2, 1]


def test_what_is_removed_is_not_found() -> None:
    assert list(find_hidden(change("a.py", "a\u200bb\n", "ab\n"))) == []
    assert list(find_hidden(change("a\u200b.py", "a\n", None))) == []


@pytest.mark.parametrize(
    "name", ["a\u202egpj.py", ".g\u200cit", "read\u200bme", "tags\U000e0041", "two\nlines", "a\tb"]
)
def test_hidden_characters_in_new_names_are_found(name: str) -> None:
    (found,) = find_hidden(added(name, "x\n"))
    assert found.sentence.startswith("the name of the file has U+")
    assert list(find_hidden(change(name, "x\n", "y\n"))) == [], "it was there before"


def test_a_character_across_the_cut_of_a_long_line_is_found() -> None:
    for before in range(SEARCH_CHUNK - 3, SEARCH_CHUNK + 1):
        assert list(find_hidden(added("a.js", f"{'x' * before}\u202e{'y' * 100}\n")))
