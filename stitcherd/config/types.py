"""Types of single values in stitcherd.toml, beyond those of TOML, for pydantic to validate.

Relative paths are relative to the directory of the file, which is in the context of the validation.
"""

import os
import re
from collections.abc import Collection, Mapping
from ipaddress import ip_address
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, NamedTuple, Protocol
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    Strict,
    ValidationInfo,
    WithJsonSchema,
)

from shared import units
from shared.locations import expand_home
from stitcherd.config.errors import require_listed
from stitcherd.config.host_names import canonical_host, is_loopback
from stitcherd.config.toml_lines import type_in_words

_TRANSPORT = re.compile(r"(?:https?|ssh|git)://[^/]|(?!-)[^/\s:]+:(?!:|//)")  # a URL, or ssh's host:path; no ext::
_FILE_URL = "file:///"
_PLACEHOLDER = re.compile(r"\{([^}]*)\}")
MIN_PULL_SECONDS = 10.0
SHORTEST_LEASE = 1.0  # in seconds
_WHITESPACE = re.compile(r"[\s\x00-\x1f\x7f]")


class Table(BaseModel):
    """A table of the file: frozen, with no other keys than its own."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class ListenAddress(NamedTuple):
    """The TCP address that the HTTP API listens on; port 0 lets the kernel choose."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only programs on this machine can reach it."""
        return self.host == "localhost" or ip_address(self.host).is_loopback


class ExecutorKeys(Protocol):
    """The keys that `[executors.NAME]` takes for one kind of executor, besides `kind`."""

    @property
    def required_keys(self) -> frozenset[str]: ...  # noqa: D102 (see the class)
    @property
    def optional_keys(self) -> frozenset[str]: ...  # noqa: D102


class ForgeFeatures(Protocol):
    """What one kind of forge has that not all have."""

    @property
    def has_apps(self) -> bool: ...  # noqa: D102 (see the class)


class SupportedKinds(NamedTuple):
    """The kinds of sources, executors and forges that settings may name, taken from their tables.

    A source may have an `api` if its kind is also one of a forge.
    """

    sources: Collection[str]
    executors: Mapping[str, ExecutorKeys]
    forges: Mapping[str, ForgeFeatures] = MappingProxyType({})


class SettingsContext(NamedTuple):
    """What validation needs besides the file: its directory, and the supported kinds.

    A worker has no listeners, so it needs no secrets of webhooks.
    """

    directory: Path
    kinds: SupportedKinds
    is_worker: bool = False


def written_as(form: str) -> dict[str, str]:
    """Return the JSON schema of a value that is written as a text of some form, for the reference of the file."""
    return {"type": "string", "format": form}


def _duration(value: object) -> float:
    if isinstance(value, str):
        return units.parse_duration(value)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        raise ValueError(f'needs a unit and quotes: "{value}s"')
    raise ValueError(f"must be a duration like 30s, not {type_in_words(value)}")


def _size(value: object) -> int:
    if isinstance(value, str):
        return units.parse_size(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError(f"must be a size like 64MiB, not {type_in_words(value)}")


def _positive(value: float) -> float:
    if value <= 0:
        raise ValueError("must be more than 0")
    return value


def _lease(value: float) -> float:
    if value < SHORTEST_LEASE:
        raise ValueError(f"must be {SHORTEST_LEASE:g}s at least")
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
        raise ValueError(f"'{value}' is not a host name: leave out scheme, port and path")
    host = canonical_host(value)
    if not host or (":" in host and not _is_host(host, bracketed=True)):
        raise ValueError(f"'{value}' is neither a host name nor an address")
    return host


def _path(value: object) -> Path:
    if isinstance(value, Path):
        if "\0" in str(value):
            raise ValueError("must not contain a NUL byte")
        return value
    raise ValueError("must not be empty" if value == "" else f"must be a path as text, not {type_in_words(value)}")


def context_of(info: ValidationInfo) -> SettingsContext:
    """Return the context of a validation."""
    if not isinstance(info.context, SettingsContext):
        raise TypeError("settings are validated with a SettingsContext")
    return info.context


def in_directory(text: str, directory: Path) -> Path:
    """Return a path of the file as one that starts at `directory`; `~` is the user's home. Raises NoHomeDirectory."""
    return Path(directory, expand_home(text))


def _clone(value: str, info: ValidationInfo) -> str:
    for placeholder in _PLACEHOLDER.findall(value):
        if placeholder not in {"owner", "name"}:
            raise ValueError(f"unknown placeholder {{{placeholder}}}: there are {{owner}} and {{name}}")
    if not value.isprintable():
        raise ValueError("must not contain control characters")
    if value.startswith(("/", "~", "./", "../")):
        return os.path.normpath(in_directory(value, context_of(info).directory))
    if value.startswith(_FILE_URL) or _TRANSPORT.match(value):
        return value
    raise ValueError('must be a path like "/srv/git/{name}.git", "~/…" or "./…", or a URL that git supports')


def _entry_name(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", value):
        raise ValueError("a name consists of a-z, 0-9, _ and -, and starts with a letter or a digit")
    return value


def _branch(value: str) -> str:
    if not value or value.startswith("-") or ".." in value or _WHITESPACE.search(value):
        raise ValueError(f"'{value}' is not a branch name")
    return value


def _single_word(value: str) -> str:
    if not value or _WHITESPACE.search(value):
        raise ValueError("must be one word")
    return value


def _login(value: str) -> str:
    if value.startswith("@"):
        raise ValueError(f"write it without the @: {value[1:]}")
    return _single_word(value)


def _endpoint(*schemes: str) -> AfterValidator:
    def validate(value: str) -> str:
        if not re.fullmatch(rf"(?:{'|'.join(schemes)})://[^/\s]\S*", value):
            raise ValueError(f"must be a URL that starts with {' or '.join(f'{each}://' for each in schemes)}")
        return value.rstrip("/")

    return AfterValidator(validate)


def https_url(value: str, sent: str, *, forbidden: str = "#") -> str:
    """Return an HTTPS URL, or an HTTP one of this machine; `sent` is what would be readable on the way.

    It may have no user, and none of the `forbidden` characters that begin a query or fragment.
    """
    try:
        parts = urlsplit(value)
        host = canonical_host(parts.hostname or "")
        valid = bool(host) and parts.port != 0
    except ValueError:
        valid = False
    if not valid or parts.scheme not in {"https", "http"} or _WHITESPACE.search(value):
        raise ValueError("must be a URL that starts with https://")
    if "@" in parts.netloc or any(each in value for each in forbidden):
        raise ValueError(f"must be a URL without user{', query' if '?' in forbidden else ''} and fragment")
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError(f"must start with https://: {sent} would be readable on the way")
    return value


def _api_url(value: str) -> str:
    return https_url(value, "the token", forbidden="?#").rstrip("/")


def _pull_interval(value: float) -> float:
    if value < MIN_PULL_SECONDS:
        raise ValueError(f"must be at least {MIN_PULL_SECONDS:g}s: forges limit how often they may be asked")
    return value


def _argv(value: tuple[str, ...]) -> tuple[str, ...]:
    if not value or not value[0]:
        raise ValueError('must name a program, like ["uv", "sync"]')
    if any("\0" in each for each in value):
        raise ValueError("must not contain a NUL byte")
    return value


def _sha256(value: str) -> str:
    if not re.fullmatch(r"[0-9A-Fa-f]{64}", value):
        raise ValueError("must be 64 hexadecimal digits: the SHA-256 of the token, not the token")
    return value.lower()


def _source_kind(value: str, info: ValidationInfo) -> str:
    return require_listed(value, context_of(info).kinds.sources)


def _executor_kind(value: str, info: ValidationInfo) -> str:
    return require_listed(value, context_of(info).kinds.executors)


Text = Annotated[str, Strict()]
WorkerCount = Annotated[int, Strict(), Field(ge=0, le=64)]
Duration = Annotated[float, PlainValidator(_duration), WithJsonSchema(written_as("duration"))]
Price = Annotated[float, Strict(), Field(ge=0, le=1e6)]
PositiveDuration = Annotated[Duration, AfterValidator(_positive)]
Lease = Annotated[Duration, AfterValidator(_lease)]
Size = Annotated[int, PlainValidator(_size), AfterValidator(_positive), WithJsonSchema(written_as("size"))]
AbsolutePath = Annotated[Path, BeforeValidator(_path)]
Listen = Annotated[ListenAddress, PlainValidator(_address), WithJsonSchema(written_as("address"))]
HostName = Annotated[Text, AfterValidator(_host_name)]
Clone = Annotated[Text, AfterValidator(_clone)]
EntryName = Annotated[Text, AfterValidator(_entry_name)]
SourceKind = Annotated[Text, AfterValidator(_source_kind)]
ExecutorKind = Annotated[Text, AfterValidator(_executor_kind)]
Branch = Annotated[Text, AfterValidator(_branch)]
SingleWord = Annotated[Text, AfterValidator(_single_word)]
Login = Annotated[Text, AfterValidator(_login)]
ApiUrl = Annotated[Text, AfterValidator(_api_url), WithJsonSchema(written_as("uri"))]
PullInterval = Annotated[Duration, AfterValidator(_pull_interval)]
WebSocketUrl = Annotated[Text, _endpoint("wss", "ws"), WithJsonSchema(written_as("uri"))]
Argv = Annotated[tuple[Text, ...], AfterValidator(_argv)]
Sha256 = Annotated[Text, AfterValidator(_sha256)]
