"""Compare a document with the shape that it must have."""

import re
from typing import Any

ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
SHA1, SHA256 = re.compile("[0-9a-f]{40}"), re.compile("[0-9a-f]{64}")
REVISION = re.compile("r-[0-9a-f]{8}")


def differences(actual: Any, expected: Any, place: str = "$") -> list[str]:
    """Return where `actual` differs from `expected`.

    A mapping must have every expected key, and may have others. Each item of a list must match one of those expected.
    A type matches its values, a pattern the strings that it matches wholly, a tuple whatever one of its members does.
    """
    match expected:
        case dict():
            if not isinstance(actual, dict):
                return [f"{place}: {actual!r} is not a mapping"]
            found = [f"{place}.{name}: missing" for name in expected.keys() - actual.keys()]
            for name in expected.keys() & actual.keys():
                found += differences(actual[name], expected[name], f"{place}.{name}")
            return found
        case list():
            if not isinstance(actual, list):
                return [f"{place}: {actual!r} is not a list"]
            return [fault for number, it in enumerate(actual) for fault in _closest(it, expected, f"{place}[{number}]")]
        case tuple():
            return _closest(actual, list(expected), place)
        case type():
            fits = isinstance(actual, expected) and not (expected is int and isinstance(actual, bool))
        case re.Pattern():
            fits = isinstance(actual, str) and expected.fullmatch(actual) is not None
        case _:
            fits = type(actual) is type(expected) and actual == expected
    return [] if fits else [f"{place}: {actual!r} is not {expected!r}"]


def _closest(actual: Any, expected: list[Any], place: str) -> list[str]:
    tried = [differences(actual, one, place) for one in expected]
    return [] if any(not found for found in tried) else min(tried, key=len, default=[f"{place}: unexpected"])
