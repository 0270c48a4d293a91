"""The tables of stitcherd.toml: every key with its type and its default."""

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from stitcherd.config import types
from stitcherd.config.errors import invalid_value
from stitcherd.config.secrets import Secret, Token

Permission = Literal["jobs:read", "jobs:write", "jobs:dispatch", "jobs:approve", "deliveries:read", "rails:read"]


class Table(BaseModel):
    """A table of the file: frozen, and without any key beyond its own."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class DaemonSettings(Table):
    """`[daemon]`; times in seconds, sizes in bytes, both paths absolute."""

    state_dir: types.AbsolutePath
    socket: types.AbsolutePath
    workers: types.WorkerCount = 4
    grace: types.Duration = 30.0
    log_max: types.Size = 64 * 2**20


class RetentionSettings(Table):
    """`[retention]`: how long the past is kept, in seconds."""

    events: types.PositiveDuration = 90 * 86400.0
    dedupe: types.PositiveDuration = 180 * 86400.0


class HttpSettings(Table):
    """`[http]`: the public door."""

    listen: types.Listen = types.ListenAddress("127.0.0.1", 8466)
    hosts: tuple[types.HostName, ...] = ()
    max_body: types.Size = 2**20

    @property
    def host(self) -> str:
        """An address without brackets, or localhost."""
        return self.listen.host

    @property
    def port(self) -> int:
        """The TCP port; 0 lets the kernel choose."""
        return self.listen.port


class SourceSettings(Table):
    """`[sources.NAME]`: a sender of webhooks."""

    name: types.EntryName
    kind: Literal["mosaic", "github", "gitea", "gitlab", "standard"]
    secrets: tuple[Secret, ...] = Field(repr=False)
    bot: types.Login = "mosaic"
    api: types.HttpUrl | None = None
    token: Token | None = Field(default=None, repr=False)
    workspace: types.SingleWord = "default"

    @field_validator("secrets")
    @classmethod
    def _some(cls, secrets: tuple[bytes, ...]) -> tuple[bytes, ...]:
        if not secrets:
            raise invalid_value("at least one is needed")
        return secrets


class RepositorySettings(Table):
    """`[repositories.PATTERN]`: where the repositories that match are, and how a checkout of one is prepared."""

    pattern: types.SingleWord
    clone: types.Clone
    base: types.Branch = "main"
    prepare: tuple[types.Argv, ...] = ()
    workspace: types.SingleWord = "default"

    @property
    def is_path(self) -> bool:
        """The repository is on this machine: `clone` is an absolute path or a file URL."""
        return self.clone.startswith(("/", "file:"))

    def matches(self, repository: str) -> bool:
        """Say whether this entry is for a repository; case counts as little as it does at the forges."""
        return fnmatchcase(repository.lower(), self.pattern.lower())


class ExecutorSettings(Table):
    """`[executors.NAME]`: what does the work; `argv` of a command, `url` and `token` of an OpenClaw gateway."""

    name: types.EntryName
    kind: Literal["command", "openclaw"]
    argv: types.Argv = ()
    url: types.WebSocketUrl | None = None
    token: Token | None = Field(default=None, repr=False)

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        needed, foreign = ("argv", {"url", "token"}) if self.kind == "command" else ("url", {"argv"})
        if needed not in self.model_fields_set:
            raise invalid_value(f"kind {self.kind} needs {needed}")
        for key in sorted(foreign & self.model_fields_set):
            raise invalid_value(f"kind {self.kind} has no {key}", (key,))
        return self


class TokenSettings(Table):
    """`[[tokens]]`: who may use the API over TCP; `sha256` in lower case."""

    name: types.SingleWord
    sha256: types.Sha256
    workspace: types.SingleWord = "default"
    permissions: frozenset[Permission]


_PART = r"(?!-)[A-Za-z0-9_.-]+"
_REPOSITORY = re.compile(rf"(?P<owner>{_PART}(?:/{_PART})*)/(?P<name>{_PART})")  # a group of GitLab may lie in another
_MIN_SECRET_LENGTH = 6  # a shorter one would blot out words that are none


class Settings(Table):
    """The whole file, and what was noticed when it was read.

    `secret_names` are the environment variables that hold secrets: no agent may be given them, and `files`
    those that hold secrets.
    """

    daemon: DaemonSettings
    retention: RetentionSettings = RetentionSettings()
    http: HttpSettings = HttpSettings()
    sources: Mapping[str, SourceSettings] = Field(default_factory=dict)
    repositories: tuple[RepositorySettings, ...] = ()
    executors: Mapping[str, ExecutorSettings] = Field(default_factory=dict)
    tokens: tuple[TokenSettings, ...] = ()
    missing: bool = False
    warnings: tuple[str, ...] = ()
    secret_names: frozenset[str] = frozenset()
    files: tuple[Path, ...] = ()

    @field_validator("tokens")
    @classmethod
    def _all_differ(cls, tokens: tuple[TokenSettings, ...]) -> tuple[TokenSettings, ...]:
        for key in ("name", "sha256"):
            seen: set[str] = set()
            for index, token in enumerate(tokens):
                if (value := getattr(token, key)) in seen:
                    raise invalid_value(f"another token has the same {key}", (index, key))
                seen.add(value)
        return tokens

    @property
    def secret_values(self) -> tuple[bytes, ...]:
        """Every secret long enough to be told from a word; the longest first, as redaction needs them."""
        found = {secret for source in self.sources.values() for secret in source.secrets}
        tokens = [source.token for source in self.sources.values()]
        tokens += [executor.token for executor in self.executors.values()]
        found |= {token.encode() for token in tokens if token}
        return tuple(sorted((each for each in found if len(each) >= _MIN_SECRET_LENGTH), key=len, reverse=True))

    @property
    def private(self) -> tuple[Path, ...]:
        """The paths that no sandbox may be shown, besides the config directory and those that nobody's may."""
        return Path(self.daemon.state_dir), Path(self.daemon.socket), *self.files

    def repository(self, name: str) -> RepositorySettings | None:
        """Return the first entry for `owner/name`, with both filled into its `clone`.

        None where there is none, and for a name that could climb out of a path or be read as an option.
        """
        parts = _REPOSITORY.fullmatch(name)
        if parts is None or ".." in name or "." in name.split("/"):
            return None
        for entry in self.repositories:
            if entry.matches(name):
                clone = entry.clone.replace("{owner}", parts["owner"]).replace("{name}", parts["name"])
                return entry.model_copy(update={"clone": clone})
        return None
