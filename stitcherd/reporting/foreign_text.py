"""Makes text that others wrote harmless in a comment: no mention, image, link or markup in it does anything.

All of it is shown as code. What a forge would act on even there, or a reader would not see, is broken or removed.
"""

import re
from collections.abc import Callable

from stitcherd.sources.hidden_characters import drop_hidden_characters

INLINE_MAX = 300  # characters
LINE_MAX = 500  # characters of a line of output
_BREAK = "\u200b"  # zero-width space: what follows is no longer recognised
_MASK = "[secret]"
_COMMENT = re.compile(r"<!--(?:-?>|.*?-->|.*\Z)", re.DOTALL)
# By their prefixes, whatever their length: the tokens of forges have changed theirs.
_TOKENS = re.compile(
    r"(?<![A-Za-z0-9])(?:gh[oprsu]_[A-Za-z0-9_.-]{8,}|github_pat_[A-Za-z0-9_]{8,}|gl(?:pat|oas|ptt|dt|rt|ft|soat|cbt|imt|agent)-"
    r"[A-Za-z0-9_.-]{8,}|(?:AKIA|ASIA)[A-Z0-9]{12,}|sk-[A-Za-z0-9_-]{20,}|xox[abeoprs]-[A-Za-z0-9-]{10,})"
    r"|-----BEGIN [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----(?s:.*?)(?:-----END [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----|\Z)"
)
_HEX = re.compile(r"(?<![A-Za-z0-9])([0-9a-fA-F]{7})[0-9a-fA-F]{33}(?![A-Za-z0-9])")  # a commit, or a token of Gitea
_TICKS = re.compile(r"`+")


def harmless(text: str, mask: Callable[[str], str]) -> str:
    """Return text without secrets, hidden characters and HTML comments, and with mentions and images broken.

    `mask` returns a text with the configured secrets masked.
    """
    text = _HEX.sub(r"\1…", _masked(_COMMENT.sub("", drop_hidden_characters(text)[0]), mask))
    return text.replace("@", f"@{_BREAK}").replace("![", f"!{_BREAK}[")


def plain_line(text: str, mask: Callable[[str], str], length: int = INLINE_MAX) -> str:
    """Return text as one line without secrets and hidden characters, of at most `length` characters.

    It is for readers that show text as it is, not for those that give markup a meaning.
    """
    line = " ".join(_masked(drop_hidden_characters(text)[0], mask).split())
    return line if len(line) <= length else f"{line[: length - 1]}…"


def inline_code(text: str, mask: Callable[[str], str], *, cell: bool = False) -> str:
    """Return text as code within a line, shortened; in a `cell` of a table `|` does not end it."""
    line = " ".join(harmless(text, mask).split())
    if len(line) > INLINE_MAX:
        line = f"{line[:INLINE_MAX]}…"
    if cell:
        line = line.replace("|", r"\|")
    ticks = "`" * (_longest_run(line) + 1)
    padding = " " if line.startswith("`") or line.endswith("`") or not line else ""
    return f"{ticks}{padding}{line}{padding}{ticks}"


def code_block(text: str, mask: Callable[[str], str], lines: int, size: int) -> tuple[str, bool]:
    """Return the last `lines` of text as a block of code of at most `size` characters, and whether that is not all."""
    whole = harmless(text, mask).rstrip("\n").split("\n")
    shown = [line if len(line) <= LINE_MAX else f"{line[:LINE_MAX]}…" for line in whole[-lines:]]
    fence = "`" * max(_longest_run("\n".join(shown)) + 1, 3)
    room = size - 2 * len(fence) - 2
    while shown and sum(len(line) + 1 for line in shown) > room:
        shown.pop(0)
    return "\n".join([fence, *shown, fence]), len(shown) < len(whole)


def _masked(text: str, mask: Callable[[str], str]) -> str:
    """Return text without the configured secrets, and without what looks like a token of a well-known service."""
    return _TOKENS.sub(_MASK, mask(text))


def _longest_run(text: str) -> int:
    return max((len(found) for found in _TICKS.findall(text)), default=0)
