"""The kinds of value that stitcherd.toml has beyond TOML's own, each as a type that pydantic validates.

A relative path starts at the directory of the file, which is the validation's context.
"""

import os
import re
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, Strict, ValidationInfo

from shared import units
from stitcherd.config.errors import type_in_words

_TRANSPORT = re.compile(r"(?:https?|ssh|git)://[^/]|(?!-)[^/\s:]+:(?!:|//)")  # a URL, or ssh's host:path; no ext::
_FILE_URL = "file:///"
_PLACE = re.compile(r"\{([^}]*)\}")
_WHITE = re.compile(r"[\s\x00-\x1f\x7f]")


class ListenAddress(NamedTuple):
    """Where the public door listens; port 0 lets the kernel choose."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Only programs on this machine can reach it."""
        return self.host == "localhost" or ip_address(self.host).is_loopback


def _duration(value: object) -> float:
    if isinstance(value, str):
        return units.parse_duration(value)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        raise ValueError(f'a duration is text with a unit: "{value}s", perhaps')
    raise ValueError(f"must be a duration like 30s, not {type_in_words(value)}")


def _size(value: object) -> int:
    if isinstance(value, str):
        return units.parse_size(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError(f"must be a size like 64MiB, not {type_in_words(value)}")


def _positive(value: float) -> float:
    if value <= 0:
        raise ValueError("must be more than nothing")
    return value


def _address(value: object) -> ListenAddress:
    if isinstance(value, str) and (found := re.fullmatch(r"(?:\[(.+)\]|([^:\[\]]+)):([0-9]{1,5})", value)):
        host, port = found[1] or found[2], int(found[3])
        if port < 2**16 and _is_host(host, bracketed=bool(found[1])):
            return ListenAddress(host, port)
    raise ValueError('must be an address and a port, like "127.0.0.1:8466" or "[::1]:8466"')


def _is_host(host: str, *, bracketed: bool) -> bool:
    if host == "localhost":
        return not bracketed
    try:
        return (ip_address(host).version == 6) == bracketed
    except ValueError:
        return False


def _host_name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.-]+|\[?[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*\]?", value):
        raise ValueError(f"'{value}' is not the name of a host: leave out scheme, port and path")
    return value.strip("[]").lower()


def _path(value: object) -> Path:
    if isinstance(value, Path):
        if "\0" in str(value):
            raise ValueError("must not hold a zero byte")
        return value
    raise ValueError("must not be empty" if value == "" else f"must be a path as text, not {type_in_words(value)}")


def in_directory(text: str, directory: Path | None) -> Path:
    """Return the path that a text in the file of `directory` stands for; `~` is the user's home."""
    return Path(directory or "", os.path.expanduser(text))  # noqa: PTH111 (Path.expanduser raises for ~stranger)


def _clone(value: str, info: ValidationInfo) -> str:
    for place in _PLACE.findall(value):
        if place not in {"owner", "name"}:
            raise ValueError(f"unknown place {{{place}}}: there are {{owner}} and {{name}}")
    if not value.isprintable():
        raise ValueError("must not hold control characters")
    if value.startswith(("/", "~", "./", "../")):
        return os.path.normpath(in_directory(value, info.context))
    if value.startswith(_FILE_URL) or _TRANSPORT.match(value):
        return value
    raise ValueError('must be a path like "/srv/git/{name}.git", "~/…" or "./…", or a URL that git understands')


def _entry_name(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", value):
        raise ValueError("a name is made of a-z, 0-9, _ and -, and starts with a letter or a digit")
    return value


def _branch(value: str) -> str:
    if not value or value.startswith("-") or ".." in value or _WHITE.search(value):
        raise ValueError(f"'{value}' is not the name of a branch")
    return value


def _single_word(value: str) -> str:
    if not value or _WHITE.search(value):
        raise ValueError("must be one word")
    return value


def _login(value: str) -> str:
    if value.startswith("@"):
        raise ValueError(f"write it without the @: {value[1:]}")
    return _single_word(value)


def _endpoint(*schemes: str) -> AfterValidator:
    def check(value: str) -> str:
        if not re.fullmatch(rf"(?:{'|'.join(schemes)})://[^/\s]\S*", value):
            raise ValueError(f"must be a URL that starts with {' or '.join(f'{each}://' for each in schemes)}")
        return value.rstrip("/")

    return AfterValidator(check)


def _argv(value: tuple[str, ...]) -> tuple[str, ...]:
    if not value or not value[0]:
        raise ValueError('must name a program, like ["uv", "sync"]')
    if any("\0" in each for each in value):
        raise ValueError("must not hold a zero byte")
    return value


def _sha256(value: str) -> str:
    if not re.fullmatch(r"[0-9A-Fa-f]{64}", value):
        raise ValueError("must be 64 hexadecimal digits: the SHA-256 of the token, not the token")
    return value.lower()


Text = Annotated[str, Strict()]
WorkerCount = Annotated[int, Strict(), Field(ge=1, le=64)]
Duration = Annotated[float, PlainValidator(_duration)]
PositiveDuration = Annotated[Duration, AfterValidator(_positive)]
Size = Annotated[int, PlainValidator(_size), AfterValidator(_positive)]
AbsolutePath = Annotated[Path, BeforeValidator(_path)]
Listen = Annotated[ListenAddress, PlainValidator(_address)]
HostName = Annotated[Text, AfterValidator(_host_name)]
Clone = Annotated[Text, AfterValidator(_clone)]
EntryName = Annotated[Text, AfterValidator(_entry_name)]
Branch = Annotated[Text, AfterValidator(_branch)]
SingleWord = Annotated[Text, AfterValidator(_single_word)]
Login = Annotated[Text, AfterValidator(_login)]
HttpUrl = Annotated[Text, _endpoint("https", "http")]
WebSocketUrl = Annotated[Text, _endpoint("wss", "ws")]
Argv = Annotated[tuple[Text, ...], AfterValidator(_argv)]
Sha256 = Annotated[Text, AfterValidator(_sha256)]
