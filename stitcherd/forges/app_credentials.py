"""The tokens of a GitHub App: each for one repository and the permissions of one call, in memory, an hour at most."""

import asyncio
from collections.abc import Callable
from typing import Any

from shared.ids import now_ms
from stitcherd.forges.base import AppApi, Call, InstallationToken, Request
from stitcherd.forges.client import ForgeClient
from stitcherd.forges.credentials import Credentials, NoToken, Perform
from stitcherd.forges.models import ForgeAccount, RepositoryRef
from stitcherd.forges.outcome import CREDENTIAL_CHECK, Done, Hold, Outcome, Rejected, RetryAt
from stitcherd.forges.paced_client import PacedClient, Value

RENEW_BEFORE = 300_000  # milliseconds before a token expires
_JWT_SKEW = 60  # seconds that our clock may be fast
_JWT_LIFE = 540  # seconds, of at most 600 that GitHub accepts
_EXTRA = "install Stitcher with its extra: pip install 'stitcher[github-app]'"


class AppUnusable(Exception):
    """The key of an App cannot be used; the message says why."""


class AppKey:
    """The private key of an App (PEM), which signs its JWTs."""

    def __init__(self, pem: bytes) -> None:
        """Raise AppUnusable if the libraries for it are missing, or it is not a key of RSA."""
        try:  # only Apps need them, and they take 16 MiB of memory
            import jwt  # noqa: PLC0415
            from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey  # noqa: PLC0415
            from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415
        except ImportError as error:
            raise AppUnusable(f"{error.name} is missing: {_EXTRA}") from None
        try:
            key = load_pem_private_key(pem, None)
        except (ValueError, TypeError) as error:
            raise AppUnusable(f"the key of the App is not a private key in PEM: {error}") from None
        if not isinstance(key, RSAPrivateKey):
            raise AppUnusable("the key of the App is not one of RSA")
        self._key = key
        self._encode = jwt.encode

    def sign(self, claims: dict[str, Any]) -> str:
        """Return a JWT with these claims."""
        return self._encode(claims, self._key, algorithm="RS256")


class AppCredentials(Credentials):
    """The credentials of a GitHub App, by its client id.

    `on_secret` is told of each token before it is used, so that it is masked in output.
    """

    def __init__(
        self,
        client: ForgeClient,
        app_id: str,
        key: AppKey,
        on_secret: Callable[[bytes], None],
        now: Callable[[], int] = now_ms,
    ) -> None:
        """Raise ValueError for a forge without Apps."""
        if client.forge.app is None:
            raise ValueError(f"{client.forge.kind} has no Apps")
        self._api: AppApi = client.forge.app
        self._paced = PacedClient(client, now)
        self._app_id = app_id
        self._key = key
        self._on_secret = on_secret
        self._now = now
        self._installations: dict[str, str] = {}
        self._tokens: dict[str, InstallationToken] = {}
        self._renewing = asyncio.Lock()

    def scope(self, request: Request) -> str:
        """Return the repository and the permissions."""
        return f"{_name(request)} {sorted(request.permissions.items())}"

    async def token(self, request: Request) -> str:
        """Return the token for the repository and the permissions of a request."""
        async with self._renewing:
            key, now = self.scope(request), self._now()
            if key not in self._tokens or self._tokens[key].expires_at - RENEW_BEFORE <= now:
                minted = await self._mint(request)
                self._on_secret(minted.token.encode())
                self._tokens[key] = minted
            return self._tokens[key].token

    def renew(self, request: Request) -> bool:
        """Forget the token of a request, and the installation that it was for."""
        self._installations.pop(_name(request), None)
        return self._tokens.pop(self.scope(request), None) is not None

    async def identify(self, _perform: Perform) -> Outcome[ForgeAccount]:
        """Ask GitHub for the name of the App, and then for its account."""
        found = await self._as_app(self._api.get_app())
        if not isinstance(found, Done):
            return found
        return await self._paced.perform(self._api.get_account(f"{found.value}[bot]"), None)

    async def get_hook_error(self) -> Outcome[str | None]:
        """Return why the last delivery of the App's webhook failed, None if it did not."""
        return await self._as_app(self._api.get_hook_error())

    async def _mint(self, request: Request) -> InstallationToken:
        repository, wanted = request.repository, dict(request.permissions)
        if repository is None:
            raise NoToken(Rejected("refused", f"{request.method} {request.path} has no repository to get a token for"))
        name = _name(request)
        if name not in self._installations:
            self._installations[name] = self._value(
                await self._as_app(self._api.get_installation(repository)), repository, wanted
            )
        call = self._api.create_token(self._installations[name], repository, wanted)
        return self._value(await self._as_app(call), repository, wanted)

    async def _as_app(self, call: Call[Value]) -> Outcome[Value]:
        return await self._paced.perform(call, self._jwt())

    def _value(self, outcome: Outcome[Value], repository: RepositoryRef, wanted: dict[str, str]) -> Value:
        """Return what was asked for; raise NoToken with what an outcome means for the request that needs it."""
        match outcome:
            case Done(value):
                return value
            case Rejected("gone", detail):
                hint = f"install the App on {repository.name}"
                raise NoToken(Rejected("forbidden", f"the App is not installed there: {detail}", hint))
            case Rejected("forbidden", detail):
                raise NoToken(Hold(self._now() + CREDENTIAL_CHECK, f"the App gets no token: {detail}", "credential"))
            case Rejected("refused", detail):
                needed = " and ".join(f"{level} access to {name}" for name, level in wanted.items())
                raise NoToken(Rejected("forbidden", f"the App gets no token: {detail}", f"grant the App {needed}"))
            case Rejected() | RetryAt() | Hold():
                raise NoToken(outcome)

    def _jwt(self) -> str:
        seconds = self._now() // 1000
        return self._key.sign({"iat": seconds - _JWT_SKEW, "exp": seconds + _JWT_LIFE, "iss": self._app_id})


def _name(request: Request) -> str:
    return "" if request.repository is None else request.repository.id or request.repository.name.lower()
