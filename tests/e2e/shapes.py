"""Compares an answer with the shape it was promised to have."""

import re
from typing import Any

ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
SHA1, SHA256 = re.compile("[0-9a-f]{40}"), re.compile("[0-9a-f]{64}")
REVISION = re.compile("r-[0-9a-f]{8}")


def differences(seen: Any, wanted: Any, place: str = "$") -> list[str]:
    """Return where `seen` differs from `wanted`.

    Of a mapping every key must be there; others may be added. In a list each item must be like one of those wanted.
    A type stands for any value of it, a pattern for any text that it matches whole, a tuple for any of its members.
    """
    match wanted:
        case dict():
            if not isinstance(seen, dict):
                return [f"{place}: {seen!r} is no mapping"]
            faults = [f"{place}.{name}: missing" for name in wanted.keys() - seen.keys()]
            for name in wanted.keys() & seen.keys():
                faults += differences(seen[name], wanted[name], f"{place}.{name}")
            return faults
        case list():
            if not isinstance(seen, list):
                return [f"{place}: {seen!r} is no list"]
            return [fault for number, it in enumerate(seen) for fault in _none_of(it, wanted, f"{place}[{number}]")]
        case tuple():
            return _none_of(seen, list(wanted), place)
        case type():
            fits = isinstance(seen, wanted) and not (wanted is int and isinstance(seen, bool))
        case re.Pattern():
            fits = isinstance(seen, str) and wanted.fullmatch(seen) is not None
        case _:
            fits = type(seen) is type(wanted) and seen == wanted
    return [] if fits else [f"{place}: {seen!r} is not {wanted!r}"]


def _none_of(seen: Any, wanted: list[Any], place: str) -> list[str]:
    tried = [differences(seen, one, place) for one in wanted]
    return [] if any(not faults for faults in tried) else min(tried, key=len, default=[f"{place}: not promised"])
