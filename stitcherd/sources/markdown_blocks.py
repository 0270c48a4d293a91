"""The text blocks of a Markdown document, after CommonMark 0.31: paragraphs and raw HTML.

Code, headings and rules are left out. Parsing stops, and leaves out the rest of the text, at constructs on which
parsers disagree and that nobody writes by hand.
"""

import re
from collections.abc import Iterator, Sequence
from enum import Enum, auto

from msgspec import Struct

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


LINE_END = re.compile(r"\r\n?|\n")

NESTING_MAX = 64  # containers
_QUOTE_WIDTH = 0  # of a block quote; list items have positive widths

_HEADING = re.compile(r"#{1,6}(?: |$)")
_UNDERLINE = re.compile(r"(?:=+|-+) *")
_RULE = re.compile(r"(?:(?:\* *+){3,}+|(?:- *+){3,}+|(?:_ *+){3,}+)")
_FENCE = re.compile(r"(`{3,})[^`]*|(~{3,}).*")
_ITEM = re.compile(r"(?:[-+*]|([0-9]{1,9})[.)])( +|$)")
_DEFINITION = re.compile(r"\[(?:[^\[\]\\]|\\.)*+\]:")


class Block(Struct):
    """A paragraph or raw HTML block: the numbers and texts of its lines, and which of them may be plain."""

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
    """The kind of the open leaf block."""

    NONE = auto()
    PARAGRAPH = auto()
    FENCE = auto()
    HTML = auto()


class _AmbiguousText(Exception):
    """Parsers disagree on how the text is to be read."""


def parse_blocks(lines: Sequence[str]) -> Iterator[Block]:
    """Yield the paragraphs and raw HTML blocks in order; `lines` have no line ends."""
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
    """The block structure of the lines read so far (CommonMark, appendix "A parsing strategy")."""

    def __init__(self) -> None:
        self.finished: list[Block] = []
        self.containers: list[int] = []
        self.leaf = _Leaf.NONE
        self.block = Block(False, [], [], [])
        self.closing = re.compile("")  # ends the fence or the raw HTML; if empty, a blank line does
        self.bare_item = False  # the last line was a list marker alone
        self.defines = False  # the paragraph starts like a link reference definition

    def read(self, number: int, line: str) -> None:
        """Process one line."""
        depth, at = self._match_containers(line)
        whole = depth == len(self.containers)
        if whole and self._continues_leaf(number, line[at:]):
            return
        self.bare_item = False
        in_paragraph = self.leaf is _Leaf.PARAGRAPH  # continues, if only lazily, unless a block starts here
        while text := line[at:].lstrip(" "):
            indent = len(line) - at - len(text)
            if indent > 3 or depth > NESTING_MAX:
                break
            width = self._container_width(text, indent, restricted=in_paragraph and whole)
            if width is None:
                if self._starts_leaf(number, text, depth, in_paragraph=in_paragraph, whole=whole):
                    return
                break
            self._close(depth)
            self.containers.append(width)
            depth, whole, in_paragraph = depth + 1, True, False
            at += indent + 1 + (text[1:2] == " ") if width == _QUOTE_WIDTH else width
        self._add_text(number, line[at:], depth, in_paragraph=in_paragraph)

    def end_block(self) -> None:
        """Finish the open text block."""
        if self.block.numbers:
            self.finished.append(self.block)
            self.block = Block(False, [], [], [])

    def _match_containers(self, line: str) -> tuple[int, int]:
        """Return the number of open containers that the line continues, and where their content starts."""
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

    def _continues_leaf(self, number: int, rest: str) -> bool:
        """Return whether the line belongs to the open fence or raw HTML, and process it if so."""
        if self.leaf is _Leaf.FENCE:
            if self.closing.fullmatch(rest):
                self.leaf = _Leaf.NONE
        elif self.leaf is _Leaf.HTML:
            self._add_html(number, rest)
        else:
            return False
        return True

    def _container_width(self, text: str, indent: int, *, restricted: bool) -> int | None:
        """Return the width of the container that starts here, or None."""
        if text.startswith(">"):
            return _QUOTE_WIDTH
        match = _ITEM.match(text)
        if match is None or _RULE.fullmatch(text) or (restricted and _UNDERLINE.fullmatch(text)):
            return None
        rest = text[match.end() :]
        if restricted and (not rest or int(match[1] or 1) != 1):
            return None
        self.bare_item = not rest
        spaces = len(match[2])
        return indent + match.end() - spaces + (spaces if rest and spaces < 5 else 1)

    def _starts_leaf(self, number: int, text: str, depth: int, *, in_paragraph: bool, whole: bool) -> bool:
        underline = in_paragraph and whole and _UNDERLINE.fullmatch(text)
        if underline or _HEADING.match(text) or _RULE.fullmatch(text):
            self._close(depth)
        elif fence := _FENCE.fullmatch(text):
            self._close(depth)
            self.leaf = _Leaf.FENCE
            run = fence[1] or fence[2]
            self.closing = re.compile(rf" {{0,3}}{run[0]}{{{len(run)},}} *")
        elif (closing := _html_end(text, in_paragraph=in_paragraph)) is not None:
            self._close(depth)
            self.leaf = _Leaf.HTML
            self.block.html = True
            self.closing = closing
            self._add_html(number, text)
        else:
            return False
        return True

    def _add_html(self, number: int, rest: str) -> None:
        if not self.closing.pattern:
            if rest.strip(" "):
                self.block.add(number, rest, plain=_QUOTE_WIDTH not in self.containers)
            else:
                self._close(len(self.containers))
            return
        self.block.add(number, rest, plain=False)
        if self.closing.search(rest):
            self._close(len(self.containers))

    def _add_text(self, number: int, rest: str, depth: int, *, in_paragraph: bool) -> None:
        text = rest.lstrip(" ")
        if depth > NESTING_MAX:
            raise _AmbiguousText
        if in_paragraph and text:
            if self.defines and not text.startswith("["):
                raise _AmbiguousText  # parsers disagree on where a link reference definition ends
            self.block.add(number, text, plain=_QUOTE_WIDTH not in self.containers)
            return
        self._close(depth)
        if text and len(rest) - len(text) < 4:
            self.leaf = _Leaf.PARAGRAPH
            self.defines = _DEFINITION.match(text) is not None
            self.block.add(number, text, plain=_QUOTE_WIDTH not in self.containers)

    def _close(self, depth: int) -> None:
        """End the open block, and the containers deeper than `depth`."""
        self.end_block()
        del self.containers[depth:]
        self.leaf = _Leaf.NONE


def _html_end(text: str, *, in_paragraph: bool) -> re.Pattern[str] | None:
    """Return the pattern that ends the raw HTML block that starts here, or None; an empty one means a blank line."""
    if not text.startswith("<"):
        return None
    for start, end in _RAW:
        if start.match(text):
            return end
    if _BLOCK_TAG.match(text) or (not in_paragraph and _LONE_TAG.fullmatch(text)):
        return re.compile("")
    return None
