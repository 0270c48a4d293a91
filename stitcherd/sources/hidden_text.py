"""Removes from the texts of a thread what their readers do not see, and says what that was.

What is left is what a forge shows and a terminal prints: the agent gets it, and a person approves it. What a click or
the pointer shows counts as visible: collapsed details, titles of links, descriptions of images.
"""

import re
from collections import Counter
from collections.abc import Iterable

from msgspec import Struct

from stitcherd.sources.hidden_characters import drop_hidden_characters
from stitcherd.sources.trigger import Quote

TITLE = "title"  # the kind of quote that has one line

_COMMENT = re.compile(r"<!--(?:-?>|.*?-->|.*\Z)", re.DOTALL)  # in code too: parsers disagree on what is code
_WORDS = r"(?:[^\[\]\\\n]|\\.)*+"  # of a label, in one line of it
_GAP = r"[ \t]*+(?:\n[ \t]*+)?"
_TITLE = "|".join(
    rf"{start}(?:[^{start}{end}\\\n]|\\.|\n(?!\s*\n))*+{end}" for start, end in ('""', "''", (r"\(", r"\)"))
)
_MARKUP = re.compile(
    rf"""
    (?P<code> ^[ ]{{0,3}}(?P<fence>`{{3,}}|~{{3,}}) (?s:.*?) (?: ^[ ]{{0,3}}(?P=fence)[`~]*[ \t]*$ | \Z )
            | (?<!`)(?P<ticks>`++)[^`\n]++(?P=ticks)(?!`) )
    | (?P<declaration> (?s: <!\[CDATA\[(?:.*?\]\]>|.*\Z) | <![A-Za-z](?:[^>]*+>|.*\Z) | <\?(?:.*?\?>|.*\Z) ) )
    | (?P<definition> ^[ ]{{0,3}}\[(?P<label>{_WORDS}(?:\n{_WORDS}){{0,3}})\]:{_GAP}
                      (?:<[^<>\n]*+>|[^\s<]\S*+)(?:{_GAP}(?:{_TITLE}))?[ \t]*+$ )
    """,
    re.MULTILINE | re.VERBOSE,
)
_REFERENCE = re.compile(r"\[([^\[\]]++)\]")


class VisibleText(Struct, frozen=True):
    """The visible part of a text, and the kinds of what was hidden in it."""

    text: str
    hidden: tuple[str, ...]


class ThreadTexts(Struct, frozen=True):
    """The visible texts of a thread: its title, the quotes of all, and what was hidden in which."""

    title: str
    quotes: tuple[Quote, ...]
    hidden: tuple[str, ...]


def quote_texts(texts: Iterable[tuple[str | None, str, str | None]]) -> ThreadTexts:
    """Return the visible part of texts, given as (author, kind, text); those that have none are no quotes."""
    title, quotes, hidden = "", [], []
    for author, kind, text in texts:
        visible = visible_text(text or "")
        shown = visible.text
        if kind == TITLE:
            title = shown = shown.replace("\n", " ")
        if shown:
            quotes.append(Quote(author, kind, shown))
        hidden += [f"{each} in the {kind}" for each in visible.hidden]
    return ThreadTexts(title, tuple(quotes), tuple(hidden))


def visible_text(text: str, *, marked: bool = True) -> VisibleText:
    """Return a text without hidden characters and markup, in whose place is a mark, or a space if not `marked`.

    Takes time linear in the text.
    """
    text, found = drop_hidden_characters(text)

    def mark(kind: str) -> str:
        found.append(kind)
        return f"[hidden: {kind}]" if marked else " "

    def mark_markup(match: re.Match[str]) -> str:
        if match["declaration"] is not None:
            return mark("markup declaration")
        if match["code"] is not None or references[match["label"].casefold()] > 1:
            return match[0]
        return mark("unused link definition")

    if "<!--" in text:
        text = _COMMENT.sub(lambda _: mark("HTML comment"), text)
    if "<!" in text or "<?" in text or "]:" in text:
        references = Counter(label.casefold() for label in _REFERENCE.findall(text))
        text = _MARKUP.sub(mark_markup, text)
    return VisibleText(text, tuple(dict.fromkeys(found)))
