"""The demo's git repository: a tiny package with two bugs and the tests that show them; made by git alone."""

import os
import subprocess
from pathlib import Path

FILES = {
    ".gitignore": "__pycache__/\n",
    "pages.py": '''"""Cut rows into pages."""


def page(rows, number, size):
    """Return page `number`, counted from 1, of `size` rows."""
    start = (number - 1) * size
    return rows[start : start + size - 1]


def pages(rows, size):
    """Return how many pages the rows fill."""
    return len(rows) // size
''',
    "test_pages.py": """import unittest

from pages import page, pages

ROWS = list(range(25))


class PagesTest(unittest.TestCase):
    def test_a_page_has_its_last_row(self):
        self.assertEqual(page(ROWS, 2, 10), ROWS[10:20])

    def test_a_half_full_page_counts(self):
        self.assertEqual(pages(ROWS, 10), 3)

    def test_no_rows_fill_no_page(self):
        self.assertEqual(pages([], 10), 0)
""",
}

_IDENTITY = {"NAME": "octocat", "EMAIL": "octocat@localhost"}


def create(bare: Path, seed: Path) -> str:
    """Make a bare repository whose `main` holds FILES, by way of the directory `seed`; return the commit."""
    seed.mkdir()
    for name, text in FILES.items():
        (seed / name).write_text(text, "utf-8")
    git("init", "--quiet", "--bare", "--initial-branch=main", "--template=", str(bare))
    here = (f"--git-dir={bare}", f"--work-tree={seed}")
    git(*here, "add", "--all")
    git(*here, "commit", "--quiet", "--message=Pages")
    return git(f"--git-dir={bare}", "rev-parse", "main").strip()


def git(*arguments: str) -> str:
    """Return what git prints; nothing of the user's configuration, hooks or signing takes part.

    Raises FileNotFoundError without git, CalledProcessError where it fails.
    """
    finished = subprocess.run(
        ["git", *arguments], check=True, capture_output=True, text=True, encoding="utf-8", env=_environment()
    )
    return finished.stdout


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    who = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in _IDENTITY.items()}
    return kept | who | {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "LC_ALL": "C.UTF-8"}
