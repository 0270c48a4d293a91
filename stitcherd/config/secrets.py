"""Reads the secrets that stitcherd.toml names by an environment variable or a file; never shows them."""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import PlainValidator, ValidationInfo, WithJsonSchema

from shared.suggest import did_you_mean
from stitcherd.config.errors import KeyPath, invalid_value
from stitcherd.config.toml_lines import type_in_words
from stitcherd.config.types import context_of, in_directory, written_as

_FORM = '{env = "NAME"} or {file = "/path"}'


def _secret(value: object, info: ValidationInfo) -> bytes:
    """Return the secret that an entry names; the entry itself is never part of a message, as it may be a secret."""
    if not isinstance(value, dict) or not value:
        raise invalid_value(f"must be {_FORM}" + ("" if value == {} else f", not {type_in_words(value)}"))
    for key in value:
        if key not in {"env", "file"}:
            raise invalid_value(f"unknown key {key!r}{did_you_mean(key, ('env', 'file'))}", (key,))
    if len(value) > 1:
        raise invalid_value(f"must be {_FORM}, not both")
    [(key, place)] = value.items()
    if not isinstance(place, str) or not place or "\0" in place:
        raise invalid_value(f"must be {'the name of an environment variable' if key == 'env' else 'a path'}", (key,))
    return _from_environment(place) if key == "env" else _from_file(in_directory(place, context_of(info).directory))


def _from_environment(name: str) -> bytes:
    value = os.environ.get(name)
    if not value:
        state = "not set" if value is None else "empty"
        raise invalid_value(f"the environment variable {name} is {state}", ("env",))
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
        raise invalid_value("must be one word of ASCII characters, since it is sent in a header")
    return text


def _connection_string(value: object, info: ValidationInfo) -> str:
    text = _secret(value, info).decode(errors="replace")
    try:
        is_valid = text.isprintable() and (urlsplit(text).scheme in {"postgresql", "postgres"} or "=" in text)
    except ValueError:  # such as [ without ]
        is_valid = False
    if not is_valid:
        raise invalid_value("must be a connection string of PostgreSQL, such as postgresql://user:password@host/name")
    return text


def _private_key(value: object, info: ValidationInfo) -> bytes:
    secret = _secret(value, info)
    if not secret.lstrip().startswith(b"-----BEGIN ") or b"PRIVATE KEY-----" not in secret:
        raise invalid_value("must be a private key in PEM, which starts with -----BEGIN")
    return secret


_SCHEMA = WithJsonSchema(written_as("secret"))
Secret = Annotated[bytes, PlainValidator(_secret), _SCHEMA]
Token = Annotated[str, PlainValidator(_token), _SCHEMA]
PrivateKey = Annotated[bytes, PlainValidator(_private_key), _SCHEMA]
ConnectionString = Annotated[str, PlainValidator(_connection_string), _SCHEMA]


def secret_entries(document: dict[str, Any]) -> Iterator[tuple[KeyPath, dict[str, str]]]:
    """Yield the place and the table of every secret that a valid document names."""
    for name, source in document.get("sources", {}).items():
        for index, entry in enumerate(source.get("secrets", ())):
            yield ("sources", name, "secrets", index), entry
        if "app" in source:
            yield ("sources", name, "app", "key"), source["app"]["key"]
    if "dsn" in document.get("store", {}):
        yield ("store", "dsn"), document["store"]["dsn"]
    for index, target in enumerate(document.get("notify", ())):
        if "secret" in target:
            yield ("notify", index, "secret"), target["secret"]
    for section in ("sources", "executors"):
        for name, table in document.get(section, {}).items():
            if "token" in table:
                yield (section, name, "token"), table["token"]


def readable_secrets(document: dict[str, Any], directory: Path) -> Iterator[tuple[dict[str, str], bytes]]:
    """Yield the table and the value of every secret of webhooks and notifications that can be read.

    `directory` is that of the document, which need not be valid.
    """
    sources, targets = document.get("sources"), document.get("notify")
    places: list[object] = []
    for source in sources.values() if isinstance(sources, dict) else ():
        named = source.get("secrets") if isinstance(source, dict) else None
        places += named if isinstance(named, list) else ()
    places += [
        target.get("secret") for target in (targets if isinstance(targets, list) else ()) if isinstance(target, dict)
    ]
    for place in places:
        with suppress(ValueError):  # which says why it cannot be read
            match place:
                case {"env": str(name)}:
                    yield {"env": name}, _from_environment(name)
                case {"file": str(name)}:
                    yield {"file": name}, _from_file(in_directory(name, directory))


def is_world_readable(path: Path) -> bool:
    """Say whether every user of this machine may read a file."""
    return bool(path.stat().st_mode & stat.S_IROTH)
