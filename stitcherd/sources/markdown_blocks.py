"""The blocks of a Markdown text that hold words, after CommonMark 0.31: paragraphs and raw HTML.

Code, headings and rules are left out. It answers where a block starts and ends and whether it is quoted, and
gives up, which leaves out the rest of the text, on what nobody writes by hand.
"""

import re
from collections.abc import Iterator, Sequence
from enum import Enum, auto

from msgspec import Struct

# merged from stitcherd.sources.markdown_html: Raw HTML in Markdown, after CommonMark 0.31: what a tag looks
# like, and where a block of HTML ends.

_ATTRIBUTE = r"[A-Za-z_:][A-Za-z0-9_.:-]*+(?:[ \t\n]*+=[ \t\n]*+(?:[^ \t\n\"'=<>`]++|'[^']*+'|\"[^\"]*+\"))?+"
TAG = rf"<[A-Za-z][A-Za-z0-9-]*+(?:[ \t\n]++{_ATTRIBUTE})*+[ \t\n]*+/?>|</[A-Za-z][A-Za-z0-9-]*+[ \t\n]*+>"

_RAW = tuple(
    (re.compile(start, re.IGNORECASE), re.compile(end, re.IGNORECASE))
    for start, end in (
        (r"<(?:script|pre|style|textarea)(?:[ >]|$)", r"</(?:script|pre|style|textarea)>"),
        (r"<!--", r"-->"),
        (r"<\?", r"\?>"),
        (r"<![A-Z]", r">"),
        (r"<!\[CDATA\[", r"\]\]>"),
    )
)
_BLOCK_TAG = re.compile(
    r"</?(?:address|article|aside|base|basefont|blockquote|body|caption|center|col|colgroup|dd|details|dialog|dir"
    r"|div|dl|dt|fieldset|figcaption|figure|footer|form|frame|frameset|h[1-6]|head|header|hr|html|iframe|legend|li"
    r"|link|main|menu|menuitem|nav|noframes|ol|optgroup|option|p|param|search|section|summary|table|tbody|td"
    r"|tfoot|th|thead|title|tr|track|ul)(?: |/?>|$)",
    re.IGNORECASE,
)
_LONE_TAG = re.compile(rf"(?:{TAG}) *")


def html_end(text: str, *, in_paragraph: bool) -> re.Pattern[str] | None:
    """Return what ends the raw HTML that starts here, None where none does."""
    if not text.startswith("<"):
        return None
    for start, end in _RAW:
        if start.match(text):
            return end
    if _BLOCK_TAG.match(text) or (not in_paragraph and _LONE_TAG.fullmatch(text)):
        return re.compile("")
    return None


LINE_END = re.compile(r"\r\n?|\n")

NESTING_MAX = 64  # containers in one another
_QUOTE_WIDTH = 0  # among the widths of list items

_HEADING = re.compile(r"#{1,6}(?: |$)")
_UNDERLINE = re.compile(r"(?:=+|-+) *")
_RULE = re.compile(r"(?:(?:\* *+){3,}+|(?:- *+){3,}+|(?:_ *+){3,}+)")
_FENCE = re.compile(r"(`{3,})[^`]*|(~{3,}).*")
_ITEM = re.compile(r"(?:[-+*]|([0-9]{1,9})[.)])( +|$)")
_DEFINITION = re.compile(r"\[(?:[^\[\]\\]|\\.)*+\]:")


class Block(Struct):
    """A paragraph or a piece of raw HTML: its lines by number and text, and which of them may be plain."""

    html: bool
    numbers: list[int]
    texts: list[str]
    plain: list[bool]

    def add(self, number: int, text: str, *, plain: bool) -> None:
        """Add a line."""
        self.numbers.append(number)
        self.texts.append(text)
        self.plain.append(plain)


class _Leaf(Enum):
    NONE = auto()
    PARAGRAPH = auto()
    FENCE = auto()
    HTML = auto()


class _AmbiguousText(Exception):
    """The text is one that parsers do not agree on."""


def parse_blocks(lines: Sequence[str]) -> Iterator[Block]:
    """Yield the blocks that hold words, in order; the lines come without their ends."""
    parser = _BlockParser()
    for number, line in enumerate(lines):
        try:
            parser.read(number, line.expandtabs(4))
        except _AmbiguousText:
            break
        yield from parser.finished
        parser.finished.clear()
    parser.end_block()
    yield from parser.finished


class _BlockParser:
    def __init__(self) -> None:
        self.finished: list[Block] = []
        self.containers: list[int] = []
        self.leaf = _Leaf.NONE
        self.block = Block(False, [], [], [])
        self.closing = re.compile("")  # what ends the fence or the raw HTML; nothing: an empty line
        self.bare_item = False  # the last line was the marker of a list item, and no more
        self.defines = False  # the paragraph starts like the definition of a link

    def read(self, number: int, line: str) -> None:
        """Take one line, as the block structure of the CommonMark specification (appendix) does."""
        depth, at = self._matched(line)
        whole = depth == len(self.containers)
        if whole and self._goes_on(number, line[at:]):
            return
        self.bare_item = False
        in_paragraph = self.leaf is _Leaf.PARAGRAPH  # goes on, if only lazily, unless something starts here
        while text := line[at:].lstrip(" "):
            indent = len(line) - at - len(text)
            if indent > 3 or depth > NESTING_MAX:
                break
            width = self._container(text, indent, restricted=in_paragraph and whole)
            if width is None:
                if self._starts_leaf(number, text, depth, in_paragraph=in_paragraph, whole=whole):
                    return
                break
            self._close(depth)
            self.containers.append(width)
            depth, whole, in_paragraph = depth + 1, True, False
            at += indent + 1 + (text[1:2] == " ") if width == _QUOTE_WIDTH else width
        self._words(number, line[at:], depth, in_paragraph=in_paragraph)

    def end_block(self) -> None:
        """Hand over the block that was being read."""
        if self.block.numbers:
            self.finished.append(self.block)
            self.block = Block(False, [], [], [])

    def _matched(self, line: str) -> tuple[int, int]:
        """Return how many open containers the line is in, and where what they hold starts."""
        at = 0
        for depth, width in enumerate(self.containers):
            text = line[at:].lstrip(" ")
            indent = len(line) - at - len(text)
            if width == _QUOTE_WIDTH:
                if indent > 3 or not text.startswith(">"):
                    return depth, at
                at += indent + 1 + (text[1:2] == " ")
            elif text and indent >= width:
                at += width
            elif text or (self.bare_item and depth == len(self.containers) - 1):
                return depth, at
        return len(self.containers), at

    def _goes_on(self, number: int, rest: str) -> bool:
        """Say whether the line belongs to the fence or the raw HTML that is open, and take it."""
        if self.leaf is _Leaf.FENCE:
            if self.closing.fullmatch(rest):
                self.leaf = _Leaf.NONE
        elif self.leaf is _Leaf.HTML:
            self._raw(number, rest)
        else:
            return False
        return True

    def _container(self, text: str, indent: int, *, restricted: bool) -> int | None:
        """Return the width of the container that starts here, None where none does."""
        if text.startswith(">"):
            return _QUOTE_WIDTH
        found = _ITEM.match(text)
        if found is None or _RULE.fullmatch(text) or (restricted and _UNDERLINE.fullmatch(text)):
            return None
        rest = text[found.end() :]
        if restricted and (not rest or int(found[1] or 1) != 1):
            return None
        self.bare_item = not rest
        spaces = len(found[2])
        return indent + found.end() - spaces + (spaces if rest and spaces < 5 else 1)

    def _starts_leaf(self, number: int, text: str, depth: int, *, in_paragraph: bool, whole: bool) -> bool:
        underline = in_paragraph and whole and _UNDERLINE.fullmatch(text)
        if underline or _HEADING.match(text) or _RULE.fullmatch(text):
            self._close(depth)
        elif fence := _FENCE.fullmatch(text):
            self._close(depth)
            self.leaf = _Leaf.FENCE
            run = fence[1] or fence[2]
            self.closing = re.compile(rf" {{0,3}}{run[0]}{{{len(run)},}} *")
        elif (closing := html_end(text, in_paragraph=in_paragraph)) is not None:
            self._close(depth)
            self.leaf = _Leaf.HTML
            self.block.html = True
            self.closing = closing
            self._raw(number, text)
        else:
            return False
        return True

    def _raw(self, number: int, rest: str) -> None:
        if not self.closing.pattern:
            if rest.strip(" "):
                self.block.add(number, rest, plain=_QUOTE_WIDTH not in self.containers)
            else:
                self._close(len(self.containers))
            return
        self.block.add(number, rest, plain=False)
        if self.closing.search(rest):
            self._close(len(self.containers))

    def _words(self, number: int, rest: str, depth: int, *, in_paragraph: bool) -> None:
        text = rest.lstrip(" ")
        if depth > NESTING_MAX:
            raise _AmbiguousText
        if in_paragraph and text:
            if self.defines and not text.startswith("["):
                raise _AmbiguousText  # where a link's definition ends is told differently everywhere
            self.block.add(number, text, plain=_QUOTE_WIDTH not in self.containers)
            return
        self._close(depth)
        if text and len(rest) - len(text) < 4:
            self.leaf = _Leaf.PARAGRAPH
            self.defines = _DEFINITION.match(text) is not None
            self.block.add(number, text, plain=_QUOTE_WIDTH not in self.containers)

    def _close(self, depth: int) -> None:
        """End the block that is open, and the containers below `depth`."""
        self.end_block()
        del self.containers[depth:]
        self.leaf = _Leaf.NONE
