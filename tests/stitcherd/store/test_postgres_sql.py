"""The statements of the store in the SQL of PostgreSQL."""

import pytest

from stitcherd.store.postgres_sql import translate


@pytest.mark.parametrize(
    ("statement", "translated"),
    [
        ("SELECT ':no', '100%' WHERE a = :name AND b = ?", "SELECT ':no', '100%%' WHERE a = %(name)s AND b = %s"),
        ("a LIKE ? ESCAPE '!'", "a ILIKE %s ESCAPE '!'"),
        ("a::text = :a", "a::text = %(a)s"),
        ("FROM jobs INDEXED BY jobs_next j", "FROM jobs j"),
        ("FROM jobs NOT INDEXED WHERE a % 2 = 0", "FROM jobs WHERE a %% 2 = 0"),
        ("a CROSS JOIN b x ON x.k = a.k CROSS JOIN c", "a JOIN b x ON x.k = a.k CROSS JOIN c"),
        ("SELECT value FROM json_each(?)", "SELECT value FROM json_values(%s)"),
        ("a.r COLLATE NOCASE = ? COLLATE NOCASE", 'lower(a.r COLLATE "C") = lower(%s COLLATE "C")'),
        ("r COLLATE NOCASE > :v1 COLLATE NOCASE", 'lower(r COLLATE "C") > lower(%(v1)s COLLATE "C")'),
    ],
)
def test_statements_are_translated(statement: str, translated: str) -> None:
    assert translate(statement).decode() == translated
