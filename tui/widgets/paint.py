"""Painted text: pieces of (text, style), in the few styles of this house, as the terminal's own segments.

A style is words of `red green yellow cyan accent dim bold reverse`; the theme says what they look like.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import groupby

from rich.segment import Segment
from rich.style import Style as RichStyle
from textual.content import Content
from textual.strip import Strip
from textual.style import Style

from tui.text.plain import width

StyledText = tuple[str, str]
StyledLine = Sequence[StyledText]

_THEME = {
    "red": "$text-error",
    "green": "$text-success",
    "yellow": "$text-warning",
    "cyan": "$text-primary",
    "accent": "$accent",
}

# Private use characters: tui.plain spells them out in text from outside, so that nobody else can paint.
_ON, _OFF = "\ue000", "\ue001"


def paint(text: str, colour: str) -> str:
    """Mark `text` for `pieces`; in the shape that the words of `stitcher` are painted with."""
    return f"{_ON}{colour}{_ON}{text}{_OFF}"


def parse_marks(marked: str) -> list[StyledText]:
    """Return a line that holds marks of `paint` as pieces."""
    found = []
    for part in marked.split(_OFF):
        before, _, painted = part.partition(_ON)
        colour, _, text = painted.partition(_ON)
        found += [(before, ""), (text, colour)]
    return [piece for piece in found if piece[0]]


def highlight(line: StyledLine, pattern: str) -> StyledLine:
    """Return a line with every place of a text, which is in lower case, standing out."""
    text = "".join(piece for piece, _ in line).lower()
    if not pattern or pattern not in text or len(text) != sum(len(piece) for piece, _ in line):
        return line
    found = {at + more for at in _places(text, pattern) for more in range(len(pattern))}
    made, start = [], 0
    for piece, style in line:
        here = enumerate(piece, start)
        for hit, run in groupby(here, key=lambda pair: pair[0] in found):
            made.append(("".join(character for _, character in run), "reverse accent" if hit else style))
        start += len(piece)
    return made


def _places(text: str, pattern: str) -> Iterator[int]:
    at = text.find(pattern)
    while at >= 0:
        yield at
        at = text.find(pattern, at + len(pattern))


def wrap_line(text: str, cells: int) -> list[str]:
    """Return a plain line as lines of at most `cells` cells, broken at a blank where there is one; at least one."""
    parts = []
    while width(text) > cells:
        end = _fitting(text, cells)
        blank = text.rfind(" ", end // 2, end + 1)
        end = blank + 1 if blank > 0 else end
        parts.append(text[:end].rstrip())
        text = text[end:]
    return [*parts, text]


def _fitting(text: str, cells: int) -> int:
    """Return how many characters fit, and at least one."""
    if text.isascii():
        return max(cells, 1)
    room = cells
    for at, character in enumerate(text):
        room -= width(character)
        if room < 0:
            return max(at, 1)
    return len(text)


class Palette:
    """The styles of one theme."""

    def __init__(self, variables: dict[str, str]) -> None:
        self._variables = variables
        self._known: dict[str, RichStyle] = {}
        self._mixed: dict[tuple[RichStyle, str, str], RichStyle] = {}

    def __getitem__(self, words: str) -> RichStyle:
        """Return a style as the terminal's own."""
        if words not in self._known:
            style = " ".join(_THEME.get(word, word) for word in words.split())
            self._known[words] = Style.parse(style, self._variables).rich_style if style else RichStyle.null()
        return self._known[words]

    def strip(self, line: StyledLine, left: int, cells: int, ground: RichStyle, over: str = "") -> Strip:
        """Return `cells` cells of a line from `left` on, on a ground, with a style over all of it."""
        segments = [Segment(text, self._mix(ground, style, over)) for text, style in line if text]
        strip = Strip(segments, sum(width(text) for text, _ in line))
        return strip.crop_extend(left, left + cells, self._mix(ground, "", over))

    def _mix(self, ground: RichStyle, words: str, over: str) -> RichStyle:
        mixed = self._mixed.get((ground, words, over))
        if mixed is None:
            mixed = self._mixed[ground, words, over] = ground + self[words] + self[over]
        return mixed


@lru_cache(maxsize=256)
def _content_style(words: str) -> str:
    return " ".join(_THEME.get(word, word) for word in words.split())


def to_content(line: Iterable[StyledText]) -> Content:
    """Return a line for a widget that draws itself; nothing in it is read as markup."""
    return Content.assemble(*[(text, _content_style(style)) if style else text for text, style in line])
