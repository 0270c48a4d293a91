"""Durations and sizes as people write them: `500ms 30s 10m 24h 90d` and `1000B 512KiB 64MiB 1GiB`."""

import re

SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
BYTES = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}

MAX_SECONDS = 36500 * SECONDS["d"]  # a clock time plus this is still a valid date
MAX_BYTES = 2**50

_AMOUNT = re.compile(r"([0-9]{1,18})(\s*)([A-Za-z]*)", re.ASCII)


def parse_duration(text: str) -> float:
    """Return the seconds that `text` means; zero is allowed.

    Raises ValueError, whose text is a whole sentence, for anything but a whole number and a unit.
    """
    number, unit = _split(text, "duration", SECONDS, "500ms, 30s, 10m, 24h or 90d")
    seconds = number * SECONDS[unit] if unit != "ms" else number / 1000
    if seconds > MAX_SECONDS:
        raise ValueError(f"{text!r} is longer than 36500d")
    return seconds


def parse_size(text: str) -> int:
    """Return the bytes that `text` means; zero is allowed.

    Raises ValueError, whose text is a whole sentence, for anything but a whole number and a unit.
    """
    number, unit = _split(text, "size", BYTES, "1000B, 512KiB, 64MiB or 1GiB")
    total = number * BYTES[unit]
    if total > MAX_BYTES:
        raise ValueError(f"{text!r} is bigger than 1048576GiB")
    return total


def format_size(size: int) -> str:
    """Return a number of bytes for people to read: `512 B`, `1.5 KiB`, `64 MiB`."""
    for unit in ("GiB", "MiB", "KiB"):
        if size >= BYTES[unit]:
            return f"{size / BYTES[unit]:.1f}".removesuffix(".0") + f" {unit}"
    return f"{size} B"


def _split(text: str, what: str, units: dict[str, float] | dict[str, int], examples: str) -> tuple[int, str]:
    found = _AMOUNT.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text[:40]!r} is not a {what}: write a whole number and a unit, like {examples}")
    number, gap, unit = found.groups()
    if not unit:
        raise ValueError(f"{text!r} has no unit: write a {what} like {examples}")
    if unit not in units:
        raise ValueError(f"{text!r} does not end with a unit of a {what}: write it like {examples}")
    if gap or text != text.strip():
        raise ValueError(f"{text!r} contains a space: write {number}{unit}")
    return int(number), unit
