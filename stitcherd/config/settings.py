"""The tables of stitcherd.toml: every key with its type and its default."""

from fnmatch import fnmatchcase
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from stitcherd.settings import values
from stitcherd.settings.credentials import Secret, Token
from stitcherd.settings.values import fault

Permission = Literal["jobs:read", "jobs:write", "jobs:dispatch", "jobs:approve", "deliveries:read", "rails:read"]


class Table(BaseModel):
    """A table of the file: frozen, and without any key beyond its own."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class DaemonSettings(Table):
    """`[daemon]`; times in seconds, sizes in bytes, both paths absolute."""

    state_dir: values.Located
    socket: values.Located
    workers: values.Count = 4
    grace: values.Duration = 30.0
    log_max: values.Size = 64 * 2**20


class RetentionSettings(Table):
    """`[retention]`: how long the past is kept, in seconds."""

    events: values.Span = 90 * 86400.0
    dedupe: values.Span = 180 * 86400.0


class HttpSettings(Table):
    """`[http]`: the public door."""

    listen: values.Listen = values.Address("127.0.0.1", 8466)
    hosts: tuple[values.HostName, ...] = ()
    max_body: values.Size = 2**20

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

    name: values.Name
    kind: Literal["mosaic", "github", "gitea", "gitlab", "standard"]
    secrets: tuple[Secret, ...] = Field(repr=False)
    bot: values.Account = "mosaic"
    api: values.HttpUrl | None = None
    token: Token | None = Field(default=None, repr=False)
    workspace: values.Word = "default"

    @field_validator("secrets")
    @classmethod
    def _some(cls, secrets: tuple[bytes, ...]) -> tuple[bytes, ...]:
        if not secrets:
            raise fault("at least one is needed")
        return secrets


class RepositorySettings(Table):
    """`[repositories.PATTERN]`: where the repositories that match are, and how a checkout of one is prepared."""

    pattern: values.Word
    clone: values.Clone
    base: values.Branch = "main"
    prepare: tuple[values.Argv, ...] = ()
    workspace: values.Word = "default"

    @property
    def is_path(self) -> bool:
        """The repository is on this machine: `clone` is an absolute path or a file URL."""
        return self.clone.startswith(("/", "file:"))

    def matches(self, repository: str) -> bool:
        """Say whether this entry is for a repository; case counts as little as it does at the forges."""
        return fnmatchcase(repository.lower(), self.pattern.lower())


class ExecutorSettings(Table):
    """`[executors.NAME]`: what does the work; `argv` of a command, `url` and `token` of an OpenClaw gateway."""

    name: values.Name
    kind: Literal["command", "openclaw"]
    argv: values.Argv = ()
    url: values.WebSocketUrl | None = None
    token: Token | None = Field(default=None, repr=False)

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        needed, foreign = ("argv", {"url", "token"}) if self.kind == "command" else ("url", {"argv"})
        if needed not in self.model_fields_set:
            raise fault(f"kind {self.kind} needs {needed}")
        for key in sorted(foreign & self.model_fields_set):
            raise fault(f"kind {self.kind} has no {key}", (key,))
        return self


class TokenSettings(Table):
    """`[[tokens]]`: who may use the API over TCP; `sha256` in lower case."""

    name: values.Word
    sha256: values.Sha256
    workspace: values.Word = "default"
    permissions: frozenset[Permission]
