"""Finds characters in added text and in file names that a reader does not see, or that reorder what is seen."""

import re
import unicodedata
from collections.abc import Iterator

from stitcherd.gates.patch import ChangedLines, DiffFinding, FileChange

_JOINERS = "\u200c\u200d"  # between letters of some scripts and in emoji they are part of the spelling
_SELECTORS = "\ufe00-\ufe0f\U000e0100-\U000e01ef"  # one after a character chooses its form
_NO_WIDTH = (
    "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
)
_REORDERING = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_TAGS = "\U000e0000-\U000e00ff\U000e01f0-\U000e0fff"
_VISIBLE = rf"[^\x00-\x7f{_JOINERS}{_SELECTORS}{_NO_WIDTH}{_REORDERING}{_TAGS}]"
_IDEOGRAPH = "[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
_PLAIN = r"[\x00-\x22\x24-\x29\x2b-\x2f\x3a-\x7f]"  # 0-9, # and * may have a form of emoji
# Each starts with one class of characters, which is found fast.
_KINDS = {
    "it reorders the text around it": rf"[{_REORDERING}]",
    "it has no width": rf"[{_NO_WIDTH}{_JOINERS}](?:(?<=[{_NO_WIDTH}])|(?!{_VISIBLE})|(?<!{_VISIBLE}.)(?<!\ufe0f.))",
    "it is not shown, and can carry any text": rf"[{_TAGS}{_SELECTORS}]"
    rf"(?:(?<=[{_TAGS}])|(?<=[{_SELECTORS}].)|(?<!{_IDEOGRAPH}.)(?<=[\U000e0100-\U000e01ef])|(?<={_PLAIN}[\ufe00-\ufe0f]))",
    "it ends a line only for some programs": r"[\r\x85\u2028\u2029](?<!\r(?=\n))",
    "it controls a terminal": r"[\x00-\x08\x0b\x0e-\x1f\x7f\x80-\x84\x86-\x9f]",
}
_PATTERNS = tuple((sentence, re.compile(pattern)) for sentence, pattern in _KINDS.items())
_CONTROLS = re.compile(rb"[\x00-\x08\x0b\x0e-\x1f\x7f]|\r(?!\n)")
_BYTE_ORDER_MARK = "\ufeff".encode()


def find_hidden(change: FileChange) -> Iterator[DiffFinding]:
    """Yield a finding for each kind of hidden character that a change adds, and for a new name that has one."""
    if change.is_new:
        name = change.path.decode("utf-8", "surrogateescape")
        in_name = (re.search(r"[\t\n\f]", name), *(pattern.search(name) for _, pattern in _PATTERNS))
        for match in filter(None, in_name):
            yield DiffFinding(change.path, None, "hidden", f"the name of the file has {_described(match[0])}")
    if not change.is_binary:
        for sentence, offset, text in _hidden_characters(change.added):
            described = f"{_described(text)} is written here; {sentence}"
            yield DiffFinding(change.path, change.added.line_at(offset), "hidden", described)


def _hidden_characters(added: ChangedLines) -> Iterator[tuple[str, int, str]]:
    """Yield the first character of each kind, with its sentence and its offset in the data."""
    wanted = dict(_PATTERNS)
    for start, end in added.pieces():
        piece = bytes(added.data[start : end + 3])  # a very long line may be cut inside a character
        if piece.isascii() and not _CONTROLS.search(piece):
            continue
        if start == 0 and piece.startswith(_BYTE_ORDER_MARK) and added.line_at(0) == 1:
            piece = b"\n" * len(_BYTE_ORDER_MARK) + piece.removeprefix(_BYTE_ORDER_MARK)  # some editors begin files so
        text = piece.decode("utf-8", "surrogateescape")
        for sentence, pattern in tuple(wanted.items()):
            if match := pattern.search(text):
                del wanted[sentence]
                yield sentence, start + len(text[: match.start()].encode("utf-8", "surrogateescape")), match[0]


def _described(text: str) -> str:
    return " ".join(f"U+{ord(text[0]):04X} {unicodedata.name(text[0], '')}".split())
