"""Authentication and permissions: on the Unix socket by the process that connected, on TCP by a bearer token."""

import hashlib
import hmac
import os
import time
from asyncio import BaseTransport
from collections import deque
from collections.abc import Sequence
from weakref import WeakKeyDictionary

from aiohttp import web
from msgspec import Struct

from stitcherd.config.http_settings import Permission, TokenSettings
from stitcherd.errors import Refusal
from stitcherd.http.responses import Handler
from stitcherd.http.state import STATE
from stitcherd.processes.peer import find_job_origin, find_peer

FAILURES_MAX = 60  # wrong tokens from one address in a window; more are answered 429
WINDOW_SECONDS = 60.0
ADDRESSES_MAX = 10_000  # remembered at once, so that a flood from many addresses cannot fill the memory


class Caller(Struct, frozen=True):
    """The authenticated client: its name in events, its workspace and its permissions; None stands for all."""

    actor: str
    workspace: str | None
    permissions: frozenset[Permission] | None

    @property
    def token(self) -> str | None:
        """The name of the token; None for the operator, who has all permissions."""
        return None if self.permissions is None else self.actor

    def may(self, permission: Permission | None) -> bool:
        """Return whether the caller has a permission; None needs none."""
        return permission is None or self.permissions is None or permission in self.permissions


CALLER = web.RequestKey("caller", Caller)


def caller(request: web.Request) -> Caller:
    """Return the caller of a request."""
    return request[CALLER]


class WrongTokens:
    """Counts the wrong tokens of each address, and refuses further ones once they are too many."""

    def __init__(self) -> None:
        self._failures: dict[str, deque[float]] = {}

    def record(self, address: str) -> None:
        """Count a wrong token; raise Refusal if the address sent too many."""
        failures = self._failures.get(address)
        now = time.monotonic()
        while failures and now - failures[0] > WINDOW_SECONDS:
            failures.popleft()
        if failures and len(failures) > FAILURES_MAX:
            wait = int(WINDOW_SECONDS - (now - failures[0])) + 1
            raise Refusal("throttled", f"too many wrong tokens from {address}", retry_after=wait)
        if failures is None:
            if len(self._failures) >= ADDRESSES_MAX:
                self._failures.pop(next(iter(self._failures)))
            failures = self._failures[address] = deque(maxlen=FAILURES_MAX + 1)
        failures.append(now)


WRONG_TOKENS = web.AppKey("wrong_tokens", WrongTokens)


def require_permission(request: web.Request, permission: Permission | None) -> None:
    """Raise Refusal if the request has no caller, or one without the permission; None needs only a caller."""
    if CALLER not in request:
        if "Authorization" not in request.headers:
            raise Refusal("unauthorized", "this needs a bearer token", "see [[tokens]] in stitcherd.toml")
        request.app[WRONG_TOKENS].record(request.remote or "unknown")
        raise Refusal("unauthorized", "the bearer token is unknown", "see [[tokens]] in stitcherd.toml")
    if not caller(request).may(permission):
        raise Refusal("forbidden", f"this needs the permission {permission}")


def require_operator(request: web.Request) -> str:
    """Return the actor, if it is the operator: what it asks for concerns every workspace. Raises Refusal."""
    operator = caller(request)
    if operator.workspace is not None:
        raise Refusal("forbidden", "only the operator may do this, through the Unix socket")
    return operator.actor


class PeerAuthenticator:
    """Accepts the daemon's own user and root as the operator, whatever the modes of the socket; but no job."""

    def __init__(self) -> None:
        # Whoever connected stays the same for all requests of a connection.
        self._peers: WeakKeyDictionary[BaseTransport, Caller | str] = WeakKeyDictionary()

    @web.middleware
    async def identify(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Set the caller of a request; raise Refusal for another user, and for a command of a job."""
        if request.transport is None:
            raise Refusal("forbidden", "the connection is closed")
        peer = self._peers.get(request.transport)
        if peer is None:
            peer = self._peers[request.transport] = _identify_peer(request.transport)
        if isinstance(peer, str):
            raise Refusal("forbidden", peer)
        request[CALLER] = peer
        return await handler(request)


@web.middleware
async def identify_token(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Set the caller of a request with a known token; routes that need a caller refuse the others.

    A known token is accepted whatever else comes from its address: behind a proxy or tunnel all have the same one.
    """
    header = request.headers.get("Authorization")
    token = None if header is None else _find_token(header, request.app[STATE].settings.tokens)
    if token is not None:
        request[CALLER] = Caller(f"token:{token.name}", token.workspace, token.permissions)
    return await handler(request)


def _find_token(header: str, tokens: Sequence[TokenSettings]) -> TokenSettings | None:
    """Return the token of an Authorization header, or None; takes the same time whichever token matches."""
    scheme, _, value = header.partition(" ")
    digest = hashlib.sha256(value.strip().encode("utf-8", "surrogateescape")).hexdigest()
    found = None
    for token in tokens:
        if hmac.compare_digest(digest, token.sha256):
            found = token
    return found if scheme.lower() == "bearer" else None


def _identify_peer(transport: BaseTransport) -> Caller | str:
    """Return the operator as a caller, or why the process that connected is not accepted as the operator."""
    connection = transport.get_extra_info("socket")
    peer = find_peer(connection)
    if peer.uid not in {os.getuid(), 0}:
        return f"uid {peer.uid} is neither the daemon's user nor root"
    if (origin := find_job_origin(connection)) is not None:
        return f"a job may not act as the operator, and the process that connected (pid {peer.pid}) {origin}"
    return Caller(f"uid:{peer.uid}", None, None)
