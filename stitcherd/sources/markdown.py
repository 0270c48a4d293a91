"""The plain lines of a Markdown comment: those outside quotes, code, and HTML that hides or quotes.

Where browsers, forges and CommonMark disagree, a line counts as not plain.
"""

import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator

from stitcherd.sources.markdown_blocks import LINE_END, TAG, Block, parse_blocks

_ELEMENTS = frozenset(
    "blockquote code kbd noscript pre samp script style template textarea title tt xmp".split()  # noqa: SIM905 (a word list)
)
_COMMENT = "!--"
_HTML = re.compile(rf"(?P<tag>{TAG})|<!--|-->")
_INLINE = re.compile(
    r"\\[!-/:-@\[-`{-~]|(?P<ticks>`+)"
    rf"|(?P<tag>{TAG})|<!--|-->|(?P<declaration><\?|<!\[CDATA\[|<![A-Za-z])"
    r"|<[A-Za-z][A-Za-z0-9+.-]{1,31}:[^\x00-\x20<>]*+>|<[\w.!#$%&'*+/=?^`{|}~-]++@[\w.-]++>"
    r"|(?P<link>\]\((?:[^\s()<>\"'\\]*+(?:[ ]++(?:\"[^\"\\\n]*+\"|'[^'\\\n]*+'))?\))?)|[\[\]]"
)
_DECLARATION_ENDS = {"<?": "?>", "<![CDATA[": "]]>"}  # all others: >
_NAME = re.compile(r"</?([A-Za-z][A-Za-z0-9-]*)")


def plain_lines(text: str) -> Iterator[str]:
    """Yield the source lines that start as plain text, in order. Takes time linear in the text."""
    lines = LINE_END.split(text)
    if len(lines) == 1 and text.startswith("@"):  # most commands: the start of a paragraph, with nothing before it
        yield text
        return
    hidden: Counter[str] = Counter()
    for block in parse_blocks(lines):
        spans = _HiddenSpans(block, hidden)
        spans.read()
        starts = zip(block.numbers, block.plain, spans.starts_outside(), strict=True)
        yield from (lines[number] for number, plain, outside in starts if plain and outside)


class _HiddenSpans:
    """The spans of one block in which the start of a line is not plain text.

    `hidden` counts the open elements and comments, and is carried from block to block.
    """

    def __init__(self, block: Block, hidden: Counter[str]) -> None:
        self.block = block
        self.hidden = hidden
        self.text = "\n".join(block.texts)
        self.spans: list[tuple[int, int]] = []
        self.hidden_since = -1
        self.brackets: list[int] = []
        self.ticks: dict[int, list[int]] = defaultdict(list)
        self.unclosed: set[str] = set()  # closing strings that do not occur in the rest of the text

    def read(self) -> None:
        """Find the spans."""
        pattern = _HTML if self.block.html else _INLINE
        for run in re.finditer("`+", self.text):
            self.ticks[len(run[0])].append(run.start())
        at = 0
        while (token := pattern.search(self.text, at)) is not None:
            at = self._process(token)
        if any(self.hidden.values()):
            self._cover(self.hidden_since, len(self.text) + 1)

    def starts_outside(self) -> Iterator[bool]:
        """Yield for each line whether it starts outside all spans."""
        spans = sorted(self.spans, reverse=True)
        start, covered = 0, -1
        for line in self.block.texts:
            while spans and spans[-1][0] < start:
                covered = max(covered, spans.pop()[1])
            yield covered <= start
            start += len(line) + 1

    def _process(self, token: re.Match[str]) -> int:
        """Process a token and return where the next may start; the leftmost wins, as in CommonMark."""
        if token.lastgroup == "ticks":
            return self._skip_code(token)
        if token.lastgroup == "tag":
            self._cover(token.start(), token.end())
            self._track_element(token)
        elif token[0] == "<!--":
            return self._skip_comment(token)
        elif token.lastgroup == "declaration":
            return self._cover_to(_DECLARATION_ENDS.get(token[0], ">"), token) or token.end()
        elif token[0] == "-->":
            self._close(_COMMENT, token.end())
        elif token[0] == "[":
            self.brackets.append(token.start())
        elif token[0].startswith("]"):
            self._close_bracket(token)
        return token.end()

    def _skip_code(self, token: re.Match[str]) -> int:
        runs = self.ticks.get(len(token[0]), [])
        following = bisect_left(runs, token.end())
        if following == len(runs):
            return token.end()
        end = runs[following] + len(token[0])
        self._cover(token.start(), end)
        return end

    def _skip_comment(self, token: re.Match[str]) -> int:
        end = self._cover_to("-->", token)
        if end is None and not self.hidden[_COMMENT]:
            self._open(_COMMENT, token.start())
        return end or token.end()

    def _cover_to(self, closing: str, token: re.Match[str]) -> int | None:
        """Cover the text from `token` to the end of `closing`; return that position, or None if it does not occur."""
        end = -1 if closing in self.unclosed else self.text.find(closing, token.start() + 2)
        if end < 0:
            self.unclosed.add(closing)  # searching again would be quadratic
            return None
        self._cover(token.start(), end + len(closing))
        return end + len(closing)

    def _track_element(self, token: re.Match[str]) -> None:
        match = _NAME.match(token[0])
        name = match[1].lower() if match else ""
        if name not in _ELEMENTS:
            return
        if token[0].startswith("</"):
            self._close(name, token.end())
        else:
            self._open(name, token.start())

    def _close_bracket(self, token: re.Match[str]) -> None:
        if self.brackets:
            self._cover(self.brackets.pop(), token.end())
        if token.lastgroup == "link":
            simple = token[0].endswith(")")
            self._cover(token.start(), token.end() if simple else len(self.text) + 1)

    def _open(self, name: str, start: int) -> None:
        if not any(self.hidden.values()):
            self.hidden_since = start
        self.hidden[name] += 1

    def _close(self, name: str, end: int) -> None:
        if not self.hidden[name]:
            return
        self.hidden[name] -= 1
        if not any(self.hidden.values()):
            self._cover(self.hidden_since, end)

    def _cover(self, start: int, end: int) -> None:
        self.spans.append((start, end))
