"""Make text from outside harmless to a terminal: control characters are shown, not interpreted."""

import unicodedata

_JOINERS = "\u200c\u200d"  # needed to spell Persian and Hindi, and in emoji; harmless


def plain(text: str) -> str:
    r"""Return `text` on one line, with control characters and bidi overrides escaped, as `\x1b` or `\u202e`.

    Unusual spaces become plain ones. Printable characters are kept, backslashes too, so the escaping cannot be undone.
    """
    return text if text.isprintable() else "".join(map(_visible, text))


def plain_lines(text: str) -> str:
    """Return the plain lines of a text, joined by line ends."""
    return "\n".join(map(plain, text.splitlines()))


def single_line(text: str) -> str:
    """Return the lines of a text as one plain line."""
    return plain(" · ".join(filter(None, map(str.strip, text.splitlines()))))


def plain_json(document: bytes) -> str:
    """Return the same JSON document with control characters as JSON escapes; line ends and tabs are kept."""
    text = document.decode("utf-8", "replace").strip()
    return text if text.isprintable() else "".join(map(_escaped, text))


def width(text: str) -> int:
    """Return the cells that a plain `text` takes in a terminal; an estimate that needs no tables, for the verbs."""
    return len(text) if text.isascii() else sum(map(_cells, text))


def truncate(text: str, cells: int) -> str:
    """Return a plain `text` in at most `cells` cells; `…` replaces what does not fit."""
    if width(text) <= cells:
        return text
    kept, room = [], cells - 1
    for character in text:
        room -= _cells(character)
        if room < 0:
            break
        kept.append(character)
    return "".join(kept) + "…" * (cells > 0)


def _visible(character: str) -> str:
    if character.isprintable() or character in _JOINERS:
        return character
    if unicodedata.category(character) == "Zs":
        return " "
    return character.encode("ascii", "backslashreplace").decode() if character > "\x7f" else ascii(character)[1:-1]


def _escaped(character: str) -> str:
    if character.isprintable() or character in "\n\t" or character in _JOINERS:
        return character
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


def _cells(character: str) -> int:
    if unicodedata.combining(character) or character in _JOINERS:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
