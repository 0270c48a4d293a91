"""A bare git repository as jobs are cloned from and published to, and git without the configuration of this machine."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

_IDENTITY = {f"GIT_{who}_{what}": "e2e@localhost" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def git(*words: str) -> str:
    """Run git without configuration files; return its output."""
    environ = {"PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, **_IDENTITY}
    done = subprocess.run(["git", *words], env=environ, capture_output=True, check=True)
    return done.stdout.decode().strip()


def create_repository(repository: Path, files: Mapping[str, str]) -> None:
    """Create a bare repository whose branch `main` has one commit with files; they are also in `seed` beside it."""
    git("init", "-q", "--bare", "--initial-branch=main", "--template=", str(repository))
    tree = repository.parent / "seed"
    tree.mkdir()
    for name, text in files.items():
        (tree / name).write_text(text)
    here = (f"--git-dir={repository}", f"--work-tree={tree}")
    git(*here, "add", "-A")
    git(*here, "commit", "-qm", "Initial commit")
