"""The APIs of the sources that have one, and what git presents to the repositories of their forges."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from urllib.parse import SplitResult, urlsplit

from shared.ids import now_ms
from stitcherd.config.settings import Settings, SourceSettings
from stitcherd.forges import FORGES
from stitcherd.forges.api import ForgeApi
from stitcherd.forges.app_credentials import AppCredentials, AppKey, AppUnusable
from stitcherd.forges.base import Request, Response
from stitcherd.forges.client import ForgeClient
from stitcherd.forges.credentials import Credentials, FixedToken, NoToken
from stitcherd.forges.models import RepositoryRef
from stitcherd.forges.outcome import Done, Hold, Rejected, RetryAt
from stitcherd.forges.paths import InvalidReference
from stitcherd.git.remote import Credential, CredentialRefused, RemoteUnreachable

MAX_CACHED = 1024  # repositories whose connection is cached
MINTED_LIFE = 7_200_000  # milliseconds that a minted token is masked: twice as long as it is valid


class ForgeConnection:
    """The API of one source that has one and a credential for it, which git uses too.

    `on_secret` is told of each token that is minted, before it is used, and `on_response` of each response. `app` is
    what a GitHub App has besides its tokens, None for any other credential.
    """

    def __init__(
        self,
        source: SourceSettings,
        key: AppKey | None,
        on_secret: Callable[[bytes], None],
        on_response: Callable[[Response], None] | None = None,
        now: Callable[[], int] = now_ms,
    ) -> None:
        forge, api = FORGES[source.kind], source.api or ""
        self._client = ForgeClient(forge, api, on_response=on_response)
        self.app: AppCredentials | None = None
        if source.app is not None and key is not None:
            self.app = AppCredentials(self._client, source.app.id, key, on_secret, now)
        self._credentials: Credentials = self.app or FixedToken(forge, source.token or "")
        self.api = ForgeApi(self._client, self._credentials, now)
        self.source = source.name
        self.workspace = source.workspace
        self.git_origin = _git_origin(source, api)

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()

    def serves(self, clone: str) -> bool:
        """Say whether the repository at a path or a URL is at this forge."""
        return _origin(urlsplit(clone)) == self.git_origin

    async def git_credential(self, clone: str, *, workflows: bool = False) -> Credential:
        """Return what git presents to the repository at a URL, as for FindCredential.

        Raises CredentialRefused and RemoteUnreachable.
        """
        permissions = {"contents": "write"} | ({"workflows": "write"} if workflows else {})
        request = Request(method="GET", path="", repository=_repository_at(clone), permissions=permissions)
        try:
            token = await self._credentials.token(request)
        except (NoToken, InvalidReference) as missing:
            waits = isinstance(missing, NoToken) and isinstance(missing.outcome, Hold | RetryAt)
            kind = RemoteUnreachable if waits else CredentialRefused
            raise kind(f"There is no credential for {clone}: {missing}") from None
        return Credential(self.git_origin, self.api.forge.git_username, token)

    async def find_head(self, clone: str, number: int) -> str | None:
        """Return the head of a change, None where the forge does not tell it. Raises RemoteUnreachable."""
        try:
            found = await self.api.perform(self.api.forge.get_change(_repository_at(clone), number))
        except InvalidReference:
            return None
        match found:
            case Done(change):
                return change.head_sha
            case Rejected():
                return None
            case Hold(_, reason, _) | RetryAt(_, reason):
                raise RemoteUnreachable(reason)


class ForgeConnections:
    """The connection of each source that has an API and a credential for it."""

    def __init__(self, settings: Settings, now: Callable[[], int] = now_ms) -> None:
        """Raise AppUnusable."""
        self._settings = settings
        self._now = now
        self._minted: dict[bytes, int] = {}
        keys = {name: load_app_key(source) for name, source in settings.sources.items() if has_credential(source)}
        self._by_source = {
            name: ForgeConnection(settings.sources[name], key, self._keep_minted, now=now) for name, key in keys.items()
        }
        self._find = lru_cache(MAX_CACHED)(self._search)

    @property
    def apis(self) -> Mapping[str, ForgeApi]:
        """The APIs, by the name of the source."""
        return {name: connection.api for name, connection in self._by_source.items()}

    def serves(self, source: str, clone: str) -> bool:
        """Say whether a source's forge has the repository at a URL."""
        return source in self._by_source and self._by_source[source].serves(clone)

    def minted_secrets(self) -> frozenset[bytes]:
        """Return the tokens that were minted and may still be valid, to be masked in all output."""
        return frozenset(self._minted)

    def _keep_minted(self, secret: bytes) -> None:
        now = self._now()
        self._minted = {each: at for each, at in self._minted.items() if at > now - MINTED_LIFE} | {secret: now}

    async def close(self) -> None:
        """Close all connections."""
        for connection in self._by_source.values():
            await connection.close()

    def can_push(self, clone: str) -> bool:
        """Say whether there is a credential for the repository at a URL."""
        return self._find(clone) is not None

    async def git_credential(self, clone: str, *, workflows: bool = False) -> Credential | None:
        """Return what git presents to the repository at a URL, as for FindCredential. Raises GitError."""
        connection = self._find(clone)
        return None if connection is None else await connection.git_credential(clone, workflows=workflows)

    def find_place(self, clone: str) -> tuple[str, str] | None:
        """Return the source at whose forge the repository at a URL is, and its name there; None if there is none."""
        connection = self._find(clone)
        return None if connection is None else (connection.source, _repository_at(clone).name)

    async def find_head(self, clone: str, number: int) -> str | None:
        """Return the head of a change as the forge of a repository has it; None where no forge tells it.

        Raises RemoteUnreachable.
        """
        connection = self._find(clone)
        return None if connection is None else await connection.find_head(clone, number)

    def _search(self, clone: str) -> ForgeConnection | None:
        """Return the connection whose credential is for a repository."""
        source = find_source(self._settings, clone)
        return None if source is None else self._by_source[source]


def find_source(settings: Settings, clone: str) -> str | None:
    """Return the source whose credential is for the repository at a URL: one of its workspace and host, or None.

    A repository of several workspaces gets none: one of them would use what belongs to another.
    """
    origin, workspaces = _origin(urlsplit(clone)), settings.workspaces_of(clone)
    if len(workspaces) != 1:
        return None
    matching = (
        name
        for name, source in settings.sources.items()
        if has_credential(source) and _git_origin(source, source.api or "") == origin and source.workspace in workspaces
    )
    return next(matching, None)


def has_credential(source: SourceSettings) -> bool:
    """Say whether a source has an API, and a credential for it."""
    return source.api is not None and (source.token is not None or source.app is not None)


def load_app_key(source: SourceSettings) -> AppKey | None:
    """Return the key of a source that is an App, None for any other. Raises AppUnusable."""
    if source.app is None:
        return None
    try:
        return AppKey(source.app.key)
    except AppUnusable as error:
        raise AppUnusable(f"sources.{source.name}.app: {error}") from None


def _repository_at(clone: str) -> RepositoryRef:
    return RepositoryRef(urlsplit(clone).path.strip("/").removesuffix(".git"))


def _git_origin(source: SourceSettings, api: str) -> str:
    parts = urlsplit(api)
    host = FORGES[source.kind].git_host(parts.hostname or "")
    return _origin(parts._replace(netloc=host if parts.port is None else f"{host}:{parts.port}"))


def _origin(parts: SplitResult) -> str:
    """Return the scheme, host and port of a URL; the port only if it is not the usual one."""
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    port = "" if parts.port in {None, usual} else f":{parts.port}"
    return f"{parts.scheme}://{(parts.hostname or '').lower()}{port}"
