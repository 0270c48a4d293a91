"""Only the store knows its database: everything else is written for any."""

import re
from pathlib import Path

import stitcherd

PRODUCT = Path(stitcherd.__file__).parent
DRIVERS = re.compile(r"\b(?:sqlite3|aiosqlite|psycopg)\b")
MAY = {"queue/messages.py"}  # Huey has a file of its own


def test_nothing_outside_the_store_names_a_driver() -> None:
    naming = {str(path.relative_to(PRODUCT)) for path in PRODUCT.rglob("*.py") if DRIVERS.search(path.read_text())}
    assert {name for name in naming if not name.startswith("store/")} == MAY
