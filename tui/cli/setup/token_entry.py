"""The entry of a token in stitcherd.toml: as text, and appended to the file, which otherwise stays as it is."""

import fcntl
import os
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from shared.locations import SETTINGS_FILE

Entry = Mapping[str, str | list[str]]


class CannotAppend(Exception):
    """The file was not changed; the text says why."""


def entry_text(entry: Entry) -> str:
    """Return an entry as TOML; its texts have no control characters."""
    return "\n".join(
        ["[[tokens]]", *(f"{key} = {msgspec.json.encode(value).decode()}" for key, value in entry.items())]
    )


def append_entry(config: Path, entry: Entry) -> Path:
    """Append an entry to the file of a configuration directory, keeping its mode and owner; return where the file is.

    The file is replaced at once. Raises CannotAppend, also where it would mean anything else afterwards.
    """
    try:
        path = (config / SETTINGS_FILE).resolve(strict=True)  # of a link, the file behind it is replaced
        with _locked(path.parent):
            before = path.read_bytes().decode()
            _replace(path, _with_entry(before, entry))
    except FileNotFoundError:
        raise CannotAppend(f"there is no {SETTINGS_FILE} in {config}: stitcher init writes one") from None
    except UnicodeDecodeError:
        raise CannotAppend(f"{SETTINGS_FILE} is not in UTF-8") from None
    except OSError as error:
        raise CannotAppend(f"{SETTINGS_FILE} cannot be changed: {error.strerror}") from None
    return path


def _with_entry(text: str, entry: Entry) -> str:
    """Return the text of a file with an entry at its end; raises CannotAppend."""
    document = _parse(text)
    known = document.get("tokens", [])
    if not isinstance(known, list):
        raise CannotAppend(f"tokens of {SETTINGS_FILE} are no tables [[tokens]]")
    if any(isinstance(each, dict) and each.get("name") == entry["name"] for each in known):
        raise CannotAppend(
            f"{SETTINGS_FILE} has a token {entry['name']} already: choose another name, or remove that one"
        )
    gap = "\n" if text.endswith("\n") or not text else "\n\n"
    changed = f"{text}{gap}{entry_text(entry)}\n"
    try:
        as_wanted = _parse(changed) == {**document, "tokens": [*known, dict(entry)]}
    except CannotAppend:
        as_wanted = False
    if not as_wanted:  # such as after `tokens = []`
        raise CannotAppend(f"nothing can be appended to the tokens of {SETTINGS_FILE} as they are written there")
    return changed


def _parse(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise CannotAppend(f"{SETTINGS_FILE} is not valid: {error}") from None


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Keep others that change a file in a directory by this function waiting."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _replace(path: Path, text: str) -> None:
    """Replace a file by one with the same mode and owner, at no moment by a part of it; raises OSError."""
    old = path.stat()
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            if (old.st_uid, old.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(handle, old.st_uid, old.st_gid)
            os.fchmod(handle, old.st_mode & 0o7777)
            file.flush()
            os.fsync(handle)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
