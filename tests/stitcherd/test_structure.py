"""Rules for the code as a whole: which module may write what."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import stitcherd

ROOT = Path(stitcherd.__file__).parent
TRANSITIONS = "store/transitions.py"
WRITES_A_JOB = re.compile(r"\b(?:update|insert(?: or \w+)? into|replace into|delete from)\s+jobs\b", re.IGNORECASE)
SETS_A_STATUS = re.compile(r"\bupdate\s+jobs\s+set\b.*?\bstatus\s*=", re.IGNORECASE | re.DOTALL)


@cache
def texts(path: Path) -> tuple[str, ...]:
    """Return the string literals of a file, an f-string as one with {} for its values."""
    return tuple(_texts(path))


def _texts(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def files() -> dict[str, Path]:
    return {str(path.relative_to(ROOT)): path for path in sorted(ROOT.rglob("*.py"))}


def test_only_transitions_write_a_jobs_status() -> None:
    writers = {name for name, path in files().items() for text in texts(path) if WRITES_A_JOB.search(text)}
    others = {f"store/{name}.py" for name in ("jobs", "steps", "interruptions", "rulings", "retention", "daemons")}
    assert writers == {TRANSITIONS, *others}
    for name in writers - {TRANSITIONS}:
        for text in texts(files()[name]):
            before_where = re.split(r"\bwhere\b", text, flags=re.IGNORECASE)[0]
            assert not SETS_A_STATUS.search(before_where), f"{name}: {text}"
            assert not re.search(r"\bupdate\s+jobs\s+set\s+\{\}", text, re.IGNORECASE), f"{name}: {text}"
    for path in (ROOT / "store" / "migrations").glob("*.sql"):
        assert not re.search(r"\bupdate\s+jobs\b", path.read_text("utf-8"), re.IGNORECASE), path.name


def test_only_transitions_and_rulings_advance_a_job() -> None:
    callers = [name for name, path in files().items() if re.search(r"\badvance\(", path.read_text("utf-8"))]
    assert callers == ["store/rulings.py", TRANSITIONS]


def test_only_retention_deletes_jobs_and_events() -> None:
    deleting = {
        name
        for name, path in files().items()
        for text in texts(path)
        if re.search(r"delete\s+from\s+(jobs|events)\b", text, re.IGNORECASE)
    }
    assert deleting == {"store/retention.py"}


def test_only_one_module_adds_a_job() -> None:
    adding = {
        name
        for name, path in files().items()
        for text in texts(path)
        if re.search(r"into\s+jobs\b", text, re.IGNORECASE)
    }
    assert adding == {"store/jobs.py"}


@pytest.mark.parametrize(
    ("statement", "sets"),
    [
        ("UPDATE jobs SET status = ? WHERE id = ?", True),
        ("update jobs\n set version = 1, status='QUEUED'", True),
        ("UPDATE jobs SET version = 1", False),
        ("UPDATE steps SET status = 'FAILED'", False),
    ],
)
def test_the_pattern_finds_a_set_status(statement: str, sets: bool) -> None:
    assert bool(SETS_A_STATUS.search(statement)) is sets


def test_only_the_queue_imports_huey() -> None:
    found = [
        name
        for name, path in files().items()
        if re.search(r"^\s*(?:from|import) huey\b", path.read_text("utf-8"), re.MULTILINE)
    ]
    assert found == ["queue/consumer.py", "queue/messages.py", "queue/taking.py"]
