"""The tables of stitcherd.toml, some of them in modules of their own: every key, with its type and its default."""

import hashlib
import os
import re
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from functools import cached_property, lru_cache
from itertools import count
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from stitcherd.config import types
from stitcherd.config.errors import invalid_value, missing_key
from stitcherd.config.http_settings import HttpSettings, TokenSettings
from stitcherd.config.notify import NotifySettings
from stitcherd.config.secrets import PrivateKey, Secret, Token
from stitcherd.config.store_settings import StoreSettings
from stitcherd.config.types import Table

_PART = r"(?!-)[A-Za-z0-9_.-]+"
_REPOSITORY = re.compile(rf"(?P<owner>{_PART}(?:/{_PART})*)/(?P<name>{_PART})")  # GitLab groups may be nested
REPOSITORIES_CACHED = 256  # names that deliveries gave, the newest
_MIN_SECRET_LENGTH = 6  # masking a shorter one would mask ordinary words


class DaemonSettings(Table):
    """`[daemon]`: the daemon itself."""  # here times are in seconds, sizes in bytes, and all paths absolute

    name: types.SingleWord = Field(
        default_factory=lambda: os.uname().nodename,
        description="what this daemon or worker is called where several share a store",
        json_schema_extra={"default": "the host's name"},
    )
    state_dir: types.AbsolutePath = Field(
        description="where the database, logs, mirrors and checkouts are",
        json_schema_extra={"default": "$XDG_STATE_HOME/stitcher"},
    )
    socket: types.AbsolutePath = Field(
        description="the Unix socket for `stitcher`, at most 107 bytes; without $XDG_RUNTIME_DIR, in state_dir",
        json_schema_extra={"default": "$XDG_RUNTIME_DIR/stitcher/stitcherd.sock"},
    )
    checkouts: types.AbsolutePath | None = Field(
        None,
        description="where the checkouts of jobs are, in a directory of this daemon's own; without it, in state_dir",
    )
    workers: types.WorkerCount = Field(
        4, description="how many jobs may run at the same time; 0 with kind `postgres`, where workers run them all"
    )
    grace: types.Duration = Field(30.0, description="how long running jobs may continue after SIGTERM")
    log_max: types.Size = Field(
        64 * 2**20, description="how much output of a step is kept; of more, the beginning and the end"
    )

    @property
    def checkouts_dir(self) -> Path:
        """The directory of all checkouts, which is of this daemon alone: others may use `checkouts` too."""
        if self.checkouts is None:
            return Path(self.state_dir) / "checkouts"
        return Path(self.checkouts) / f"stitcher-{hashlib.sha256(os.fsencode(self.state_dir)).hexdigest()[:12]}"


class RetentionSettings(Table):
    """`[retention]`: how long the past is kept."""

    events: types.PositiveDuration = Field(
        90 * 86400.0, description="how long events, and jobs that ended, are kept; unfinished jobs are never deleted"
    )
    dedupe: types.PositiveDuration = Field(
        180 * 86400.0, description="how long deliveries are kept at least, so that a repeated one does nothing again"
    )


class AppSettings(Table):
    """`app` of `[sources.NAME]`: a GitHub App, by its client id and its private key in PEM."""

    id: types.SingleWord = Field(description="of a GitHub App, instead of token: its client id")
    key: PrivateKey = Field(repr=False, description="of a GitHub App: its private key in PEM")


class SourceSettings(Table):
    """`[sources.NAME]`: a sender of webhooks to `/stitcher/webhook/NAME`, or a forge that is asked."""

    name: types.EntryName
    kind: types.SourceKind = Field(description="how it signs, and what it sends; `gitea` is also Forgejo")
    secrets: tuple[Secret, ...] = Field(
        (), repr=False, description="what webhooks are signed with, any of them; required without pull"
    )
    bot: types.Login = Field("mosaic", description="the account that is mentioned or assigned")
    api: types.ApiUrl | None = Field(None, description="the API of the forge, by https")
    token: Token | None = Field(None, repr=False, description="the credential for api, and for clone on the same host")
    app: AppSettings | None = None
    pull: types.PullInterval | None = Field(
        None, description="how often the forge is asked what happened, at least 10s; needs api, and token or app"
    )
    catch_up: bool = Field(True, description="whether the forge is asked at a start what no webhook told meanwhile")
    patience: types.PositiveDuration = Field(
        600.0, description="how long a decision may wait for the forge before it is denied"
    )
    workspace: types.SingleWord = Field("default", description="the tenant that its jobs belong to")

    @property
    def has_credential(self) -> bool:
        """Whether there is an API, and a credential for it."""
        return self.api is not None and (self.token is not None or self.app is not None)

    @model_validator(mode="after")
    def _require_a_way_in(self, info: ValidationInfo) -> Self:
        if self.pull is not None and self.kind not in types.context_of(info).kinds.forges:
            raise invalid_value(f"kind {self.kind} cannot be asked what happened: set up webhooks", ("pull",))
        if self.pull is not None and not self.has_credential:
            raise invalid_value("needs api, and token or app", ("pull",))
        if types.context_of(info).is_worker:
            return self
        if self.pull is None and "secrets" not in self.model_fields_set:
            raise missing_key("secrets")
        if self.pull is None and not self.secrets:
            raise invalid_value("must not be empty", ("secrets",))
        return self

    @model_validator(mode="after")
    def _require_one_credential(self, info: ValidationInfo) -> Self:
        forge = types.context_of(info).kinds.forges.get(self.kind)
        if self.api is not None and forge is None:
            raise invalid_value(f"kind {self.kind} has no api", ("api",))
        if self.app is not None and (forge is None or not forge.has_apps):
            raise invalid_value(f"kind {self.kind} has no app", ("app",))
        if self.app is not None and self.token is not None:
            raise invalid_value("token and app exclude each other: write one of them", ("app",))
        return self


class RepositorySettings(Table):
    """`[repositories."PATTERN"]`: where repositories are; the first entry that matches, in which `*` is anything."""

    pattern: types.SingleWord
    clone: types.Clone = Field(
        description="a path, or a URL that git supports; {owner} and {name} are the parts of the repository's name"
    )
    base: types.Branch = Field("main", description="the branch that jobs start from unless they name one")
    prepare: tuple[types.Argv, ...] = Field(
        (), description="commands that are run in a fresh checkout, before the agent and before the gates"
    )
    workspace: types.SingleWord = Field("default", description="the tenant whose sources and tokens may use it")

    @property
    def is_pattern(self) -> bool:
        """Whether it may match several repositories."""
        return not _REPOSITORY.fullmatch(self.pattern)

    @property
    def is_path(self) -> bool:
        """Whether the repository is on this machine: `clone` is an absolute path or a file URL."""
        return self.clone.startswith(("/", "file:"))

    def matches(self, repository: str) -> bool:
        """Say whether the pattern matches a repository, ignoring case as forges do."""
        return fnmatchcase(repository.lower(), self.pattern.lower())


class PriceSettings(Table):
    """`prices`: US dollars for a million tokens."""

    input: types.Price = Field(description="US dollars for a million tokens that a model read")
    output: types.Price = Field(description="US dollars for a million tokens that it wrote")


class ExecutorSettings(Table):
    """`[executors.NAME]`: what runs agents; which keys it takes depends on its kind."""

    name: types.EntryName
    kind: types.ExecutorKind = Field(description="how the agent is run")
    argv: types.Argv = Field((), description="the program with its arguments, run in the checkout, without a shell")
    output: Literal["plain", "claude", "codex", "opencode", "gemini"] = Field(
        "plain", description="how its output is read: for tool calls, usage and its end, or as text"
    )
    prices: PriceSettings | None = None
    resume: bool = Field(False, description="whether further tries go on in the agent's own session")
    url: types.WebSocketUrl | None = Field(None, description="the address of the gateway, which begins with ws or wss")
    token: Token | None = Field(None, repr=False, description="the token of the gateway")

    @model_validator(mode="after")
    def _require_keys_of_kind(self, info: ValidationInfo) -> Self:
        keys: types.ExecutorKeys = types.context_of(info).kinds.executors[self.kind]
        written = self.model_fields_set - {"name", "kind"}
        for key in sorted(keys.required_keys - written):
            raise invalid_value(f"kind {self.kind} needs {key}")
        for key in sorted(written - keys.required_keys - keys.optional_keys):
            raise invalid_value(f"kind {self.kind} has no {key}", (key,))
        if self.prices is not None and self.output == "claude":
            raise invalid_value("output claude tells dollars itself: leave prices out", ("prices",))
        if self.resume and "output" in keys.optional_keys and self.output == "plain":
            raise invalid_value("needs an output other than plain: only a stream tells the session", ("resume",))
        return self


class Settings(Table):
    """The whole file, with the warnings of reading it.

    `missing` says that there is no file. `secret_names` are the environment variables that hold secrets, which no
    agent may be given, and `files` are the files that hold secrets. `unused_secrets` are those that others use only.
    """

    daemon: DaemonSettings
    store: StoreSettings = StoreSettings()
    retention: RetentionSettings = RetentionSettings()
    http: HttpSettings = HttpSettings()
    sources: Mapping[str, SourceSettings] = Field(default_factory=dict)
    repositories: tuple[RepositorySettings, ...] = ()
    executors: Mapping[str, ExecutorSettings] = Field(default_factory=dict)
    tokens: tuple[TokenSettings, ...] = ()
    notify: tuple[NotifySettings, ...] = ()
    missing: bool = False
    warnings: tuple[str, ...] = ()
    unused_secrets: tuple[bytes, ...] = Field((), repr=False)
    secret_names: frozenset[str] = frozenset()
    files: tuple[Path, ...] = ()

    @field_validator("tokens")
    @classmethod
    def _require_unique(cls, tokens: tuple[TokenSettings, ...]) -> tuple[TokenSettings, ...]:
        for key in ("name", "sha256"):
            seen: set[str] = set()
            for index, token in enumerate(tokens):
                if (value := getattr(token, key)) in seen:
                    raise invalid_value(f"another token has the same {key}", (index, key))
                seen.add(value)
        return tokens

    @model_validator(mode="after")
    def _require_workers(self, info: ValidationInfo) -> Self:
        if self.daemon.workers == 0 and (types.context_of(info).is_worker or not self.store.is_shared):
            raise invalid_value("must be at least 1", ("daemon", "workers"))
        return self

    @property
    def secret_values(self) -> tuple[bytes, ...]:
        """Every secret that is long enough to be masked in output, longest first as redaction needs them."""
        found = {secret for source in self.sources.values() for secret in source.secrets}
        tokens = [source.token for source in self.sources.values()]
        tokens += [executor.token for executor in self.executors.values()]
        found |= {token.encode() for token in tokens if token}
        found |= {source.app.key for source in self.sources.values() if source.app}
        found |= {target.secret for target in self.notify if target.secret}
        found |= {*self.store.secrets, *self.unused_secrets}
        return tuple(sorted((each for each in found if len(each) >= _MIN_SECRET_LENGTH), key=len, reverse=True))

    @property
    def notify_targets(self) -> Mapping[str, NotifySettings]:
        """The entries of `[[notify]]` by a name for each, which no source has."""
        found: dict[str, NotifySettings] = {}
        for target in self.notify:
            names = (f"notify:{target.label}{f'-{number}' if number > 1 else ''}" for number in count(1))
            found[next(name for name in names if name not in found)] = target
        return found

    @property
    def private(self) -> tuple[Path, ...]:
        """The paths that no sandbox may expose, besides the config directory and those that no sandbox ever exposes."""
        return Path(self.daemon.state_dir), Path(self.daemon.socket), self.daemon.checkouts_dir, *self.files

    def repository(self, name: str) -> RepositorySettings | None:
        """Return the first entry that matches `owner/name`, with both filled into its `clone`.

        A pattern that is the whole name gives the spelling; otherwise it is that of the sender.
        Return None if there is none, or if the name could leave the directory or be taken for an option.
        """
        return self._find_repository(name)

    @cached_property
    def _find_repository(self) -> Callable[[str], RepositorySettings | None]:
        """`_match_repository` with a cache: each delivery asks for its repository several times."""
        return lru_cache(REPOSITORIES_CACHED)(self._match_repository)

    def _match_repository(self, name: str) -> RepositorySettings | None:
        parts = _REPOSITORY.fullmatch(name)
        if parts is None or ".." in name or "." in name.split("/"):
            return None
        for entry in self.repositories:
            if entry.matches(name):
                spelled = _REPOSITORY.fullmatch(entry.pattern) or parts
                clone = entry.clone.replace("{owner}", spelled["owner"]).replace("{name}", spelled["name"])
                return entry.model_copy(update={"clone": clone})
        return None

    def workspaces_of(self, clone: str) -> frozenset[str]:
        """Return the workspaces of the repositories that `repository` finds at `clone`, a path or a URL."""
        found = set[str]()
        for entry in self.repositories:
            parts = _clone_pattern(entry.clone).fullmatch(clone)
            if parts is None:
                continue
            names = parts.groupdict()
            if names.keys() != {"owner", "name"}:
                found.add(entry.workspace)
                continue
            repository = self.repository(f"{names['owner']}/{names['name']}")
            if repository is not None and repository.clone == clone:
                found.add(repository.workspace)
        return frozenset(found)


def _clone_pattern(clone: str) -> re.Pattern[str]:
    """Return what matches the places of a `clone` with `{owner}` and `{name}` in it."""
    pattern = re.escape(clone)
    for key in ("owner", "name"):
        first, *others = pattern.split(rf"\{{{key}\}}")
        if others:
            pattern = f"{first}(?P<{key}>.+?)" + f"(?P={key})".join(others)
    return re.compile(pattern)
