"""Creates and queries real repositories for the tests of git, with none of the user's configuration."""

import os
import subprocess
from pathlib import Path

BRANCH = "stitcher/0123456789ab"
ENV = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    **{f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}


def git(path: Path, *words: str, stdin: bytes | None = None) -> str:
    done = subprocess.run(
        ["git", "-c", "protocol.file.allow=always", *words],
        cwd=path,
        env=ENV,
        input=stdin,
        capture_output=True,
        check=True,
    )
    return done.stdout.decode().strip()


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def commit(path: Path, files: dict[str, str]) -> str:
    write(path, files)
    git(path, "add", "-A")
    git(path, "commit", "-q", "-m", "x")
    return git(path, "rev-parse", "HEAD")


def marking_program(path: Path) -> str:
    """Write a program that creates a file `*.ran` when it is run; return its path."""
    path.write_text(f"#!/bin/sh\ntouch {path}.ran\n")
    path.chmod(0o755)
    return str(path)


def find(root: Path, pattern: str) -> list[Path]:
    return list(root.rglob(pattern))
