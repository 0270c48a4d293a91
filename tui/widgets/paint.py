"""Styled lines: sequences of (text, style) pairs, and their conversion to what Textual draws.

A style is a string of the words `red green yellow cyan accent dim bold reverse`; the theme defines their colours.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import groupby

from rich.cells import cell_len, set_cell_size, split_graphemes
from rich.segment import Segment
from rich.style import Style as RichStyle
from textual.content import Content
from textual.strip import Strip
from textual.style import Style

StyledText = tuple[str, str]
StyledLine = Sequence[StyledText]

_THEME = {
    "red": "$text-error",
    "green": "$text-success",
    "yellow": "$text-warning",
    "cyan": "$text-primary",
    "accent": "$accent",
}

# Private use characters: tui.text.plain escapes them in text from outside, so untrusted text cannot set styles.
_ON, _OFF = "\ue000", "\ue001"


def paint(text: str, colour: str) -> str:
    """Mark `text` with a colour for `parse_marks`; has the signature that tui.text expects of a paint function."""
    return f"{_ON}{colour}{_ON}{text}{_OFF}"


def parse_marks(text: str) -> list[StyledText]:
    """Return a line with marks of `paint` as (text, style) pairs."""
    pairs = []
    for part in text.split(_OFF):
        before, _, marked = part.partition(_ON)
        colour, _, content = marked.partition(_ON)
        pairs += [(before, ""), (content, colour)]
    return [pair for pair in pairs if pair[0]]


def highlight(line: StyledLine, pattern: str) -> StyledLine:
    """Return a line with every occurrence of `pattern` highlighted; `pattern` must be in lower case."""
    text = "".join(part for part, _ in line).lower()
    if not pattern or pattern not in text or len(text) != sum(len(part) for part, _ in line):
        return line
    matched = {start + offset for start in _occurrences(text, pattern) for offset in range(len(pattern))}
    highlighted, start = [], 0
    for part, style in line:
        for match, run in groupby(enumerate(part, start), key=lambda pair: pair[0] in matched):
            highlighted.append(("".join(character for _, character in run), "reverse accent" if match else style))
        start += len(part)
    return highlighted


def _occurrences(text: str, pattern: str) -> Iterator[int]:
    at = text.find(pattern)
    while at >= 0:
        yield at
        at = text.find(pattern, at + len(pattern))


def crop(text: str, cells: int) -> str:
    """Return a plain text in at most `cells` cells as Textual measures them; `…` replaces what does not fit."""
    if cell_len(text) <= cells:
        return text
    return set_cell_size(text, cells - 1) + "…" if cells > 0 else ""


def wrap_line(text: str, cells: int) -> list[str]:
    """Return a plain line as one or more lines of at most `cells` cells, broken at blanks where possible."""
    parts = []
    while cell_len(text) > cells:
        end = _fitting(text, cells)
        blank = text.rfind(" ", end // 2, end + 1)
        end = blank + 1 if blank > 0 else end
        parts.append(text[:end].rstrip())
        text = text[end:]
    return [*parts, text]


def _fitting(text: str, cells: int) -> int:
    """Return how many characters fit, at least one grapheme."""
    if text.isascii():
        return max(cells, 1)
    room = cells
    graphemes, _ = split_graphemes(text[: 8 * cells + 64])  # a grapheme of more code points is cut
    for start, end, size in graphemes:
        room -= size
        if room < 0:
            return start or end
    return graphemes[-1][1]


class Palette:
    """Converts style words to Rich styles for one theme."""

    def __init__(self, variables: dict[str, str]) -> None:
        self._variables = variables
        self._known: dict[str, RichStyle] = {}
        self._mixed: dict[tuple[RichStyle, str, str], RichStyle] = {}

    def __getitem__(self, words: str) -> RichStyle:
        """Return the Rich style for style words."""
        if words not in self._known:
            style = " ".join(_THEME.get(word, word) for word in words.split())
            self._known[words] = Style.parse(style, self._variables).rich_style if style else RichStyle.null()
        return self._known[words]

    def strip(self, line: StyledLine, left: int, cells: int, background: RichStyle, over: str = "") -> Strip:
        """Return `cells` cells of a line from cell `left` on, with style words `over` applied to all of it."""
        segments = [Segment(text, self._mix(background, style, over)) for text, style in line if text]
        return Strip(segments).crop_extend(left, left + cells, self._mix(background, "", over))

    def _mix(self, background: RichStyle, words: str, over: str) -> RichStyle:
        mixed = self._mixed.get((background, words, over))
        if mixed is None:
            mixed = self._mixed[background, words, over] = background + self[words] + self[over]
        return mixed


@lru_cache(maxsize=256)
def _content_style(words: str) -> str:
    return " ".join(_THEME.get(word, word) for word in words.split())


def to_content(line: Iterable[StyledText]) -> Content:
    """Return a line as Textual content; nothing in it is interpreted as markup."""
    return Content.assemble(*[(text, _content_style(style)) if style else text for text, style in line])
