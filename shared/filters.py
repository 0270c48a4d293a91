r"""The filter language for jobs, used by the terminal and the API: parsed here, translated to SQL by the store.

All terms must match; the values of one term, separated by commas, are alternatives; a leading `-` negates a term.
A word without a key is free text; in quotes it may contain spaces, with `\"` and `\\` for `"` and `\\`.
"""

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from msgspec import Struct

from shared.models import Status
from shared.suggest import nearest
from shared.units import SECONDS

MAX_LENGTH = 2000  # characters of a filter
MAX_VALUES = 50  # values in a filter, free text included: an SQL statement has a limit of parameters

IS_VALUES = {
    "waiting": "waits for an approval",
    "open": "has not ended",
    "over": "completed, failed or cancelled",
    "cancelling": "cancelled, but still running",
    "stuck": "running, without output for 15 minutes",
}
CANCELLING = "CANCELLING"  # what screens call a running job that is to be cancelled
STATES = {  # the names of statuses, and the words of the screens
    **{status.lower(): status.value for status in Status},
    "waiting": Status.PENDING.value,
    "cancelling": CANCELLING,
}
KEYS: dict[str, tuple[str, ...]] = {  # with their values, where these are fixed
    "state": tuple(STATES),
    "type": (),
    "repo": (),
    "profile": (),
    "executor": (),
    "agent": (),
    "age": (),
    "ended": (),
    "is": tuple(IS_VALUES),
    "gate": (),
}
TEXT_KEY = ""  # the key of free text

_UNITS = {unit: int(SECONDS[unit] * 1000) for unit in ("d", "h", "m", "s")}  # milliseconds
_AGE = re.compile(r"([<>])([0-9]{1,8})([smhd])", re.IGNORECASE)
_PERIOD = re.compile(r"(>=)?([0-9]{4}-[0-9]{2}-[0-9]{2})(?:T([0-9]{2}))?", re.ASCII | re.IGNORECASE)
_KEY = re.compile(r"([A-Za-z][\w-]*):")
_QUOTED = re.compile(r'"((?:[^"\\\t-\r]|\\.)*)"')
_ESCAPED = re.compile(r'\\(["\\])')
_UNSEARCHABLE = re.compile(r"[\x00-\x08\x0e-\x1f\x7f\ud800-\udfff]")  # cannot occur in a stored text


class FilterError(ValueError):
    """An invalid filter: the `column`, from 1, what is wrong, and what was most likely meant."""

    def __init__(self, column: int, message: str, suggestion: str | None = None) -> None:
        self.column = column
        self.message = message
        self.suggestion = suggestion
        super().__init__(f"{message} at column {column}" + (f" (did you mean {suggestion}?)" if suggestion else ""))


class FilterTerm(Struct, frozen=True):
    """One term of a filter: matches any of the values, or if `negated` none of them.

    States are spelled as in Status, or CANCELLING; ages as in `<2h`, periods as in `2026-11-22`. TEXT_KEY has exactly
    one value.
    """

    key: str
    values: tuple[str, ...]
    negated: bool = False


class Filter(Struct, frozen=True):
    """A parsed filter: a job must match every term; without terms, all jobs match."""

    terms: tuple[FilterTerm, ...] = ()


def parse_filter(text: str) -> Filter:
    """Parse a filter; raises FilterError."""
    if len(text) > MAX_LENGTH:
        raise FilterError(MAX_LENGTH + 1, f"the filter is longer than {MAX_LENGTH} characters")
    if unsearchable := _UNSEARCHABLE.search(text):
        raise FilterError(unsearchable.start() + 1, "this character cannot be searched for")
    terms, at, values = [], 0, 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        start = at
        term, at = _parse_term(text, start)
        values += len(term.values)
        if values > MAX_VALUES:
            raise FilterError(start + 1, f"the filter has more than {MAX_VALUES} words and values")
        terms.append(term)
    return Filter(tuple(terms))


def parse_age(value: str) -> tuple[bool, int]:
    """Return whether an age such as `<2h` means younger, and its milliseconds; raises ValueError."""
    found = _AGE.fullmatch(value)
    if found is None:
        raise ValueError(f"{value!r} is not an age")
    return found[1] == "<", int(found[2]) * _UNITS[found[3].lower()]


def parse_period(value: str) -> tuple[int, int | None]:
    """Return the begin and the end, in ms, of a day `2026-11-22` or an hour `2026-11-22T14` of UTC; raises ValueError.

    With `>=` before it the period has no end.
    """
    found = _PERIOD.fullmatch(value)
    if found is None:
        raise ValueError(f"{value!r} is not a day or an hour")
    since, day, hour = found.groups()
    begin = int(datetime.fromisoformat(f"{day}T{hour or '00'}").replace(tzinfo=UTC).timestamp()) * 1000
    return begin, None if since else begin + _UNITS["d" if hour is None else "h"]


def _parse_term(text: str, at: int) -> tuple[FilterTerm, int]:
    """Return the term that starts at an index, and the index of its end."""
    negated = text[at] == "-"
    start = at + negated
    if start == len(text) or text[start].isspace():
        raise FilterError(at + 1, "nothing follows the -")
    key = _KEY.match(text, start)
    if key is None:
        word, end = _parse_value(text, start, "")
        return FilterTerm(TEXT_KEY, (word,), negated), end
    name = key[1].lower()
    if name not in KEYS:
        suggestion = nearest(name, KEYS)
        known = "" if suggestion else f" (known: {', '.join(KEYS)}; in quotes it is free text)"
        raise FilterError(start + 1, f"unknown key {key[1]!r}{known}", suggestion)
    parse_value = _VALUE_PARSERS.get(name)
    values, end = [], key.end() - 1
    while end < len(text) and not text[end].isspace():
        begin = end + 1  # after the colon or a comma
        value, end = _parse_value(text, begin, ",")
        values.append(parse_value(value, begin + 1) if parse_value else value)
    return FilterTerm(name, tuple(dict.fromkeys(values)), negated), end


def _parse_value(text: str, at: int, stops: str) -> tuple[str, int]:
    """Return the value, quoted or bare, that starts at an index, and the index of its end: a space or a stop."""
    if text.startswith('"', at):
        value, end = _parse_quoted(text, at)
        if end < len(text) and not (text[end].isspace() or text[end] in stops):
            raise FilterError(end + 1, "a space is missing after the quote")
    else:
        end = at
        while end < len(text) and not (text[end].isspace() or text[end] in stops):
            if text[end] == '"':
                raise FilterError(end + 1, "a quote can only open at the start of a value")
            end += 1
        value = text[at:end]
    if not value:
        raise FilterError(at + 1, "a value is missing")
    return value, end


def _parse_quoted(text: str, at: int) -> tuple[str, int]:
    found = _QUOTED.match(text, at)
    if found is None:
        raise FilterError(at + 1, "the quote is not closed on its line")
    return _ESCAPED.sub(r"\1", found[1]), found.end()


def _parse_state(value: str, column: int) -> str:
    if value.lower() in STATES:
        return STATES[value.lower()]
    raise FilterError(column, f"unknown state {value!r}", _suggest(value, "state", "is", IS_VALUES))


def _parse_is(value: str, column: int) -> str:
    if value.lower() in IS_VALUES:
        return value.lower()
    message = f"unknown {value!r} after is: (known: {', '.join(IS_VALUES)})"
    raise FilterError(column, message, _suggest(value, "is", "state", KEYS["state"]))


def _suggest(value: str, key: str, other_key: str, other_values: Iterable[str]) -> str | None:
    """Return the nearest value of a key, or the same value after the other key if it belongs there."""
    return f"{other_key}:{value.lower()}" if value.lower() in other_values else nearest(value, KEYS[key])


def _parse_age_value(value: str, column: int) -> str:
    """Return an age in its largest whole unit: `<120m` is `<2h`."""
    try:
        younger, milliseconds = parse_age(value)
    except ValueError:
        raise FilterError(column, "age takes < or > and a time, like <2h or >1d (s m h d)") from None
    unit = next(unit for unit, size in _UNITS.items() if milliseconds % size == 0)
    return f"{'<' if younger else '>'}{milliseconds // _UNITS[unit]}{unit}"


def _parse_ended_value(value: str, column: int) -> str:
    """Return a period with its letter as in RFC 3339."""
    try:
        parse_period(value)
    except ValueError:
        message = "ended takes a day or an hour of UTC, like 2026-11-22, 2026-11-22T14 or >=2026-11-01"
        raise FilterError(column, message) from None
    return value.upper()


_VALUE_PARSERS: dict[str, Callable[[str, int], str]] = {
    "state": _parse_state,
    "is": _parse_is,
    "age": _parse_age_value,
    "ended": _parse_ended_value,
}
