"""Text from outside, made harmless to a terminal: nothing in it is obeyed, everything in it is seen."""

import unicodedata

_JOINERS = "\u200c\u200d"  # spelling in Persian and Hindi, glue in emoji; they move nothing


def plain(text: str) -> str:
    r"""Return `text` on one line, with control characters and bidi overrides spelled out, as `\x1b` or `\u202e`.

    Odd spaces become a plain one. What is printable stays as it is, so that a backslash of the writer's own
    looks like one of ours: this is for reading, not for reading back.
    """
    return text if text.isprintable() else "".join(map(_visible, text))


def plain_json(document: bytes) -> str:
    """Return the same JSON document with what a terminal might obey as escapes of JSON; line ends and tabs stay."""
    text = document.decode("utf-8", "replace").strip()
    return text if text.isprintable() else "".join(map(_escaped, text))


def width(text: str) -> int:
    """Return how many cells a terminal needs for `text`, which must be plain."""
    return len(text) if text.isascii() else sum(map(_cells, text))


def truncate(text: str, cells: int) -> str:
    """Return `text`, which must be plain, in at most `cells` cells, its end replaced by … where it is too long."""
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
