"""Secrets of stitcherd.toml: named there by a variable or a file, read here, never shown."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import PlainValidator, ValidationInfo

from shared.suggest import nearest
from stitcherd.config.errors import invalid_value, type_in_words
from stitcherd.config.toml_lines import KeyPath
from stitcherd.config.types import in_directory

_FORM = '{env = "NAME"} or {file = "/path"}'


def _secret(value: object, info: ValidationInfo) -> bytes:
    """Return what an entry stands for; it is never written in the file itself, and never in a message."""
    if not isinstance(value, dict) or not value:
        raise invalid_value(f"must be {_FORM}" + ("" if value == {} else f", not {type_in_words(value)}"))
    for key in value:
        if key not in {"env", "file"}:
            meant = nearest(key, ("env", "file"))
            raise invalid_value(f"unknown key '{key}'" + (f" (did you mean {meant}?)" if meant else ""), (key,))
    if len(value) > 1:
        raise invalid_value(f"must be {_FORM}, not both")
    [(key, place)] = value.items()
    if not isinstance(place, str) or not place or "\0" in place:
        raise invalid_value(f"must be {'the name of a variable' if key == 'env' else 'a path'}", (key,))
    return _from_environment(place) if key == "env" else _from_file(in_directory(place, info.context))


def _from_environment(name: str) -> bytes:
    value = os.environ.get(name)
    if not value:
        how = "not set" if value is None else "empty"
        raise invalid_value(f"the environment variable {name} is {how}", ("env",))
    return os.fsencode(value)


def _from_file(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise invalid_value(f"{path} cannot be read: {error.strerror}", ("file",)) from None
    value = content.removesuffix(b"\n").removesuffix(b"\r")
    if not value:
        raise invalid_value(f"{path} is empty", ("file",))
    return value


def _token(value: object, info: ValidationInfo) -> str:
    secret = _secret(value, info)
    text = secret.decode("ascii", "replace")
    if not text.isascii() or not text.isprintable() or " " in text:
        raise invalid_value("is not one word of ASCII, as a token in a header must be")
    return text


Secret = Annotated[bytes, PlainValidator(_secret)]
Token = Annotated[str, PlainValidator(_token)]


def secret_entries(document: dict[str, Any]) -> Iterator[tuple[KeyPath, dict[str, str]]]:
    """Yield every place of a valid document that names a secret, and what it names."""
    for name, source in document.get("sources", {}).items():
        for index, entry in enumerate(source["secrets"]):
            yield ("sources", name, "secrets", index), entry
    for section in ("sources", "executors"):
        for name, table in document.get(section, {}).items():
            if "token" in table:
                yield (section, name, "token"), table["token"]


def is_world_readable(path: Path) -> bool:
    """Say whether every user of the machine may read a file."""
    return bool(path.stat().st_mode & stat.S_IROTH)
