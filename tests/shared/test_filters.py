"""The filter language: parsing, error columns, and formatting."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import shared
from shared import filters
from shared.filters import TEXT_KEY, Filter, FilterError, FilterTerm, parse_filter

ORDINARY = st.characters(exclude_categories=("Cs", "Cc"))
TRICKY = st.sampled_from(list("\\\"\\,-: *%_'<>#/äß\u00a0"))
VALUE = st.text(ORDINARY | TRICKY, min_size=1, max_size=12)
PERIOD = st.builds(
    "{}2026-{:02}-{:02}{}".format,
    st.sampled_from(("", ">=")),
    st.integers(1, 12),
    st.integers(1, 28),
    st.sampled_from(("", "T00", "T23")),
)
AGE = st.builds("{}{}{}".format, st.sampled_from("<>"), st.integers(0, 99_999_999), st.sampled_from("smhd"))


def format_filter(parsed: Filter) -> str:
    """Return a text that parses into this filter."""
    return " ".join(map(_format_term, parsed.terms))


def _format_term(term: FilterTerm) -> str:
    sign = "-" if term.negated else ""
    if term.key == TEXT_KEY:
        (word,) = term.values
        bare = word[:1] != "-" and not filters._KEY.match(word)
        return sign + (_quote_if_needed(word, "") if bare else _quote(word))
    values = (value.lower() for value in term.values) if term.key == "state" else term.values
    return f"{sign}{term.key}:{','.join(_quote_if_needed(value, ',') for value in values)}"


def _quote_if_needed(value: str, stops: str) -> str:
    bare = value and not any(character.isspace() or character in stops or character == '"' for character in value)
    return value if bare else _quote(value)


def _quote(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _term(key: str, values: st.SearchStrategy[str], most: int = 3) -> st.SearchStrategy[FilterTerm]:
    several = st.lists(values, min_size=1, max_size=most, unique=True).map(tuple)
    return st.builds(FilterTerm, st.just(key), several, st.booleans())


TERM = st.one_of(
    *(_term(key, VALUE) for key in ("type", "repo", "profile", "executor", "agent", "gate")),
    _term("state", st.sampled_from(sorted(set(filters.STATES.values())))),
    _term("is", st.sampled_from(filters.KEYS["is"])),
    _term("age", AGE.map(lambda age: parse_filter(f"age:{age}").terms[0].values[0])),
    _term("ended", PERIOD),
    _term(TEXT_KEY, VALUE, most=1),
)


def test_parse_and_format_a_filter_with_every_key() -> None:
    line = 'state:failed type:fix repo:octo-org/* profile:weaver agent:task-7 age:<2h is:waiting -gate:lint "free text"'
    assert parse_filter(line) == Filter(
        (
            FilterTerm("state", ("FAILED",)),
            FilterTerm("type", ("fix",)),
            FilterTerm("repo", ("octo-org/*",)),
            FilterTerm("profile", ("weaver",)),
            FilterTerm("agent", ("task-7",)),
            FilterTerm("age", ("<2h",)),
            FilterTerm("is", ("waiting",)),
            FilterTerm("gate", ("lint",), negated=True),
            FilterTerm(TEXT_KEY, ("free text",)),
        )
    )
    assert format_filter(parse_filter(line)) == line


@pytest.mark.parametrize(
    ("line", "terms"),
    [
        ("", ()),
        (" \t\n\u3000", ()),
        ("State:FaiLed,running,failed", (FilterTerm("state", ("FAILED", "RUNNING")),)),
        ("state:waiting", (FilterTerm("state", ("PENDING",)),)),
        ("state:Cancelling,queued", (FilterTerm("state", ("CANCELLING", "QUEUED")),)),
        ('gate:"a, b",c', (FilterTerm("gate", ("a, b", "c")),)),
        ("one,two", (FilterTerm(TEXT_KEY, ("one,two",)),)),
        ('"type:fix"', (FilterTerm(TEXT_KEY, ("type:fix",)),)),
        ("12:30 octo-org/api#479", (FilterTerm(TEXT_KEY, ("12:30",)), FilterTerm(TEXT_KEY, ("octo-org/api#479",)))),
        (r'"say \"no\" to C:\temp\\"', (FilterTerm(TEXT_KEY, ('say "no" to C:\\temp\\',)),)),
        ("--x", (FilterTerm(TEXT_KEY, ("-x",), negated=True),)),
        ("age:>90M", (FilterTerm("age", (">90m",)),)),
        ("age:<120m", (FilterTerm("age", ("<2h",)),)),
        ("gate:-x:y", (FilterTerm("gate", ("-x:y",)),)),
    ],
)
def test_parse_filter(line: str, terms: tuple[FilterTerm, ...]) -> None:
    assert parse_filter(line).terms == terms


@pytest.mark.parametrize(
    ("line", "column", "message"),
    [
        ("stat:failed", 1, "unknown key 'stat' at column 1 (did you mean state?)"),
        ("x -stat:failed", 4, "unknown key 'stat' at column 4 (did you mean state?)"),
        (
            "http://x",
            1,
            f"unknown key 'http' (known: {', '.join(filters.KEYS)}; in quotes it is free text) at column 1",
        ),
        ("state:faild", 7, "unknown state 'faild' at column 7 (did you mean failed?)"),
        ("state:failed,stuck", 14, "unknown state 'stuck' at column 14 (did you mean is:stuck?)"),
        ("is:running", 4, "(did you mean state:running?)"),
        ("is:stuk", 4, "(did you mean stuck?)"),
        ("age:2h", 5, "age takes < or >"),
        ("age:<2w", 5, "age takes < or >"),
        ("ended:yesterday", 7, "ended takes a day or an hour of UTC"),
        ("ended:2026-02-30", 7, "ended takes a day or an hour of UTC"),
        ("ended:2026-11-22T24", 7, "ended takes a day or an hour of UTC"),
        ("ended:<2026-11-22", 7, "ended takes a day or an hour of UTC"),
        ("state:", 7, "a value is missing at column 7"),
        ("state:failed, running", 14, "a value is missing at column 14"),
        ('type:""', 6, "a value is missing at column 6"),
        ('x "open', 3, "the quote is not closed on its line at column 3"),
        ('"a"b', 4, "a space is missing after the quote at column 4"),
        ('type:a"b"', 7, "a quote can only open at the start of a value at column 7"),
        ("a -", 3, "nothing follows the - at column 3"),
        ("a\x00", 2, "this character cannot be searched for at column 2"),
        ("a\ud800", 2, "at column 2"),
        ("x " * filters.MAX_VALUES + "y", 2 * filters.MAX_VALUES + 1, "more than 50 words"),
        ("x" * (filters.MAX_LENGTH + 1), filters.MAX_LENGTH + 1, "longer than 2000"),
    ],
)
def test_an_error_names_its_column(line: str, column: int, message: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse_filter(line)
    assert caught.value.column == column
    assert message in str(caught.value)


@given(st.lists(TERM, max_size=8).map(lambda terms: Filter(tuple(terms))))
def test_a_formatted_filter_parses_back(wanted: Filter) -> None:
    assert parse_filter(format_filter(wanted)) == wanted


@given(st.text(max_size=40) | st.text(st.sampled_from('state:agerpoiis,-"\\ <>1h*'), max_size=40))
def test_any_text_parses_or_has_an_error_at_one_of_its_columns(line: str) -> None:
    column = _column(line)
    if column is None:
        assert parse_filter(format_filter(parse_filter(line))) == parse_filter(line)
    else:
        assert 1 <= column <= len(line) + 1


def _column(line: str) -> int | None:
    try:
        parse_filter(line)
    except FilterError as error:
        return error.column
    return None


@given(AGE)
def test_a_formatted_age_keeps_its_length(value: str) -> None:
    (written,) = parse_filter(f"age:{value}").terms[0].values
    assert filters.parse_age(written) == filters.parse_age(value)


def test_filters_import_nothing_heavy() -> None:
    code = "import sys, shared.filters; print([m for m in ('asyncio', 'aiohttp', 'pydantic') if m in sys.modules])"
    root = Path(shared.__file__).parents[1]
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert ran.stdout == "[]\n"


@pytest.mark.parametrize(
    ("value", "begin", "end"),
    [
        ("1970-01-02", 86_400_000, 172_800_000),
        ("1970-01-01T23", 82_800_000, 86_400_000),
        (">=1970-01-02", 86_400_000, None),
        (">=1970-01-01t23", 82_800_000, None),
    ],
)
def test_a_period_is_a_day_or_an_hour_of_utc(value: str, begin: int, end: int | None) -> None:
    assert filters.parse_period(value) == (begin, end)
