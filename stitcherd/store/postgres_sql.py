"""Translates the statements of the store, which are written for SQLite, into the SQL of PostgreSQL.

They differ in the placeholders and in a few words; the schema for PostgreSQL has functions for the others, such as
json_extract.
"""

import re
from functools import lru_cache

STATEMENTS_CACHED = 1024

_TOKEN = re.compile(r"('(?:[^']|'')*')|(?<![:\w]):([a-z]\w*)|(\?)|(%)")
_WORDS = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r" INDEXED BY \w+| NOT INDEXED\b", ""),  # which index to use is PostgreSQL's own decision,
        (r"\bCROSS JOIN (\w+(?: \w+)?) ON\b", r"JOIN \1 ON"),  # and so is which table to read first
        (r"([:?]?[\w.]*) COLLATE NOCASE\b", r'lower(\1 COLLATE "C")'),  # of ASCII only, as in SQLite
        (r"\bLIKE\b", "ILIKE"),
        (r"\bjson_each\(", "json_values("),
        (r"\bjson_group_array\((\w+)\)", r"CAST(json_agg(\1) AS text)"),
        (r"\bgroup_concat\((\w+)\)", r"string_agg(\1, ',')"),
        (r"\binstr\(", "strpos("),
        (r"\bsqlite_sequence\b", "newest_keys"),
    )
)


@lru_cache(STATEMENTS_CACHED)
def translate(statement: str) -> bytes:
    """Return a statement for psycopg."""
    for pattern, replacement in _WORDS:
        statement = pattern.sub(replacement, statement)
    return _TOKEN.sub(_placeholder, statement).encode()


def _placeholder(found: re.Match[str]) -> str:
    literal, name, mark, percent = found.groups()
    if literal is not None:
        return str(literal).replace("%", "%%")
    if name is not None:
        return f"%({name})s"
    return "%s" if mark is not None else percent * 2
