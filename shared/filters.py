r"""The filter of jobs, one grammar for the terminal and the API: parsed here, given to SQL by the store.

Words are *and*, a comma between the values of a key is *or*, `-` in front takes away. A word without a key is
text to be found; in quotes it may hold blanks, and there `\"` and `\\` stand for `"` and `\\`.
"""

import re
from collections.abc import Callable

from msgspec import Struct

from shared.models import Status
from shared.suggest import nearest
from shared.units import SECONDS

MAX_LENGTH = 2000  # characters of a filter
MAX_VALUES = 50  # values and words in it: a statement of the database takes only so many

IS_VALUES = {
    "waiting": "waits for an approval",
    "open": "not over yet",
    "over": "completed, failed or cancelled",
    "cancelling": "told to stop, and still running",
    "stuck": "running, and silent for a quarter of an hour",
}
KEYS: dict[str, tuple[str, ...]] = {  # and the values of those that have known ones
    "state": tuple(status.lower() for status in Status),
    "type": (),
    "repo": (),
    "profile": (),
    "agent": (),
    "age": (),
    "is": tuple(IS_VALUES),
    "gate": (),
}
TEXT_KEY = ""  # the key of a word without one

_AGE_UNITS = ("d", "h", "m", "s")
_AGE = re.compile(r"([<>])([0-9]{1,8})([smhd])", re.IGNORECASE)
_KEY = re.compile(r"([A-Za-z][\w-]*):")
_QUOTED = re.compile(r'"((?:[^"\\\t-\r]|\\.)*)"')
_ESCAPED = re.compile(r'\\(["\\])')
_UNSEARCHABLE = re.compile(r"[\x00-\x08\x0e-\x1f\x7f\ud800-\udfff]")  # nothing that could be searched for has these


class FilterError(ValueError):
    """A filter that cannot be read: where (`column`, from 1), why, and what was most likely meant."""

    def __init__(self, column: int, message: str, suggestion: str | None = None) -> None:
        self.column = column
        self.message = message
        self.suggestion = suggestion
        super().__init__(f"{message} at column {column}" + (f" (did you mean {suggestion}?)" if suggestion else ""))


class FilterTerm(Struct, frozen=True):
    """One word of a filter: any of the values, or with `negated` none of them.

    States are spelled as in Status, ages as in `<2h`; the key TEXT has one value, which is to be found.
    """

    key: str
    values: tuple[str, ...]
    negated: bool = False


class Filter(Struct, frozen=True):
    """What every job must meet that passes; without terms, all pass."""

    terms: tuple[FilterTerm, ...] = ()


def parse_filter(text: str) -> Filter:
    """Return the filter that a text means; raises FilterError."""
    if len(text) > MAX_LENGTH:
        raise FilterError(MAX_LENGTH + 1, f"the filter is longer than {MAX_LENGTH} characters")
    if unfit := _UNSEARCHABLE.search(text):
        raise FilterError(unfit.start() + 1, "there is a character that no text has")
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


def format_filter(wanted: Filter) -> str:
    """Return a text that `parse` reads as this filter."""
    return " ".join(map(_format_term, wanted.terms))


def parse_age(value: str) -> tuple[bool, int]:
    """Return the value of an age, `<2h`, as whether younger is meant, and milliseconds; raises ValueError."""
    found = _AGE.fullmatch(value)
    if found is None:
        raise ValueError(f"{value!r} is no age")
    return found[1] == "<", int(found[2]) * _milliseconds(found[3].lower())


def _parse_term(text: str, at: int) -> tuple[FilterTerm, int]:
    """Return the term that begins at a place, and where it ends."""
    negated = text[at] == "-"
    start = at + negated
    if start == len(text) or text[start].isspace():
        raise FilterError(at + 1, "nothing stands behind the -")
    key = _KEY.match(text, start)
    if key is None:
        word, end = _parse_value(text, start, "")
        return FilterTerm(TEXT_KEY, (word,), negated), end
    name = key[1].lower()
    if name not in KEYS:
        raise FilterError(start + 1, f"unknown key {key[1]!r}", nearest(name, KEYS))
    read = _VALUE_PARSERS.get(name)
    values, end = [], key.end() - 1
    while end < len(text) and not text[end].isspace():
        begin = end + 1  # behind the colon or a comma
        value, end = _parse_value(text, begin, ",")
        values.append(read(value, begin + 1) if read else value)
    return FilterTerm(name, tuple(dict.fromkeys(values)), negated), end


def _parse_value(text: str, at: int, stops: str) -> tuple[str, int]:
    """Return the value that begins at a place, quoted or bare, and where it ends: a blank, a stop or the end."""
    if text.startswith('"', at):
        value, end = _parse_quoted(text, at)
        if end < len(text) and not (text[end].isspace() or text[end] in stops):
            raise FilterError(end + 1, "a blank is missing behind the quote")
    else:
        end = at
        while end < len(text) and not (text[end].isspace() or text[end] in stops):
            if text[end] == '"':
                raise FilterError(end + 1, "a quote opens only at the beginning of a value")
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
    if value.upper() in Status.__members__:
        return value.upper()
    meant = f"is:{value.lower()}" if value.lower() in IS_VALUES else nearest(value, KEYS["state"])
    raise FilterError(column, f"unknown state {value!r}", meant)


def _parse_is(value: str, column: int) -> str:
    if value.lower() in IS_VALUES:
        return value.lower()
    meant = f"state:{value.lower()}" if value.lower() in KEYS["state"] else nearest(value, IS_VALUES)
    raise FilterError(column, f"unknown {value!r} after is: (there are {', '.join(IS_VALUES)})", meant)


def _parse_age_value(value: str, column: int) -> str:
    try:
        younger, milliseconds = parse_age(value)
    except ValueError:
        raise FilterError(column, "age takes < or > and a time, like <2h or >1d (s m h d)") from None
    unit = next(unit for unit in _AGE_UNITS if milliseconds % _milliseconds(unit) == 0)
    return f"{'<' if younger else '>'}{milliseconds // _milliseconds(unit)}{unit}"


def _milliseconds(unit: str) -> int:
    return int(SECONDS[unit] * 1000)


_VALUE_PARSERS: dict[str, Callable[[str, int], str]] = {"state": _parse_state, "is": _parse_is, "age": _parse_age_value}


def _format_term(term: FilterTerm) -> str:
    sign = "-" if term.negated else ""
    if term.key == TEXT_KEY:
        (word,) = term.values
        bare = word[:1] != "-" and not _KEY.match(word)
        return sign + (_quote_if_needed(word, "") if bare else _quote(word))
    values = (value.lower() for value in term.values) if term.key == "state" else term.values
    return f"{sign}{term.key}:{','.join(_quote_if_needed(value, ',') for value in values)}"


def _quote_if_needed(value: str, stops: str) -> str:
    bare = value and not any(character.isspace() or character in stops or character == '"' for character in value)
    return value if bare else _quote(value)


def _quote(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
