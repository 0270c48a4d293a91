"""The file `environment` beside stitcherd.toml: the variables that it names, for daemon, doctor and systemd alike."""

import os
import re
from pathlib import Path

ENVIRONMENT_FILE = "environment"

_LINE = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*")
_QUOTES = {'"', "'"}


class UnreadableEnvironment(Exception):
    """The file cannot be read; the message says why."""


def read_environment(config: Path) -> dict[str, str]:
    """Return the variables of the file in a configuration directory, none if there is no file.

    Each line is NAME=VALUE, the value in quotes or not; other lines, such as comments, are left out. Raises
    UnreadableEnvironment.
    """
    try:
        text = os.fsdecode((config / ENVIRONMENT_FILE).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise UnreadableEnvironment(f"{error.filename} cannot be read: {error.strerror}") from None
    found = (_LINE.fullmatch(line) for line in text.splitlines())
    return {match[1]: _unquoted(match[2]) for match in found if match}


def _unquoted(value: str) -> str:
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in _QUOTES
    return value[1:-1] if quoted else value
