"""Who is asking: on the Unix socket the peer's uid, on TCP the bearer of a token; and what they may do."""

import hashlib
import hmac
import os
import socket
import struct
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from aiohttp import web
from msgspec import Struct

from stitcherd.config.settings import Permission, TokenSettings
from stitcherd.errors import Refusal
from stitcherd.http.responses import Handler
from stitcherd.http.state import STATE

FAILURES_MAX = 60  # wrong tokens from one address in a window, before it has to wait
WINDOW_SECONDS = 60.0
ADDRESSES_MAX = 10_000  # remembered at once: a flood from many addresses must not fill the memory


class Caller(Struct, frozen=True):
    """Who asks, as events name them, the only workspace that they may see, and what they may do; None is all."""

    actor: str
    workspace: str | None
    permissions: frozenset[Permission] | None

    def may(self, permission: Permission | None) -> bool:
        """Say whether the caller may do what needs this permission; None is what every caller may."""
        return permission is None or self.permissions is None or permission in self.permissions


CALLER = web.RequestKey("caller", Caller)


def caller(request: web.Request) -> Caller:
    """Return who asks."""
    return request[CALLER]


@web.middleware
async def peer_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let in whoever could have started this daemon; everybody else is refused, whatever the file modes say."""
    uid = _peer_uid(request)
    if uid not in {os.getuid(), 0}:
        raise Refusal("forbidden", f"uid {uid} is neither the daemon's user nor root")
    request[CALLER] = Caller(f"uid:{uid}", None, None)
    return await handler(request)


class TokenAuthenticator:
    """The middleware that knows the tokens; a token is optional here, and asked for by the routes that need one."""

    def __init__(self) -> None:
        self._wrong: dict[str, deque[float]] = {}

    @web.middleware
    async def identify(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Find out who bears the token of a request, where it has one."""
        given = request.headers.get("Authorization")
        if given is not None:
            address = request.remote or "unknown"
            self._check_pace(address)
            token = _find_token(given, request.app[STATE].settings.tokens)
            if token is None:
                self._note_wrong(address)
                raise Refusal("unauthorized", "the bearer token is not known", "see [[tokens]] in stitcherd.toml")
            request[CALLER] = Caller(f"token:{token.name}", token.workspace, token.permissions)
        return await handler(request)

    def _check_pace(self, address: str) -> None:
        wrong = self._wrong.get(address)
        now = time.monotonic()
        while wrong and now - wrong[0] > WINDOW_SECONDS:
            wrong.popleft()
        if wrong and len(wrong) > FAILURES_MAX:
            wait = int(WINDOW_SECONDS - (now - wrong[0])) + 1
            raise Refusal("throttled", f"too many wrong tokens from {address}", retry_after=wait)

    def _note_wrong(self, address: str) -> None:
        if address not in self._wrong and len(self._wrong) >= ADDRESSES_MAX:
            self._wrong.pop(next(iter(self._wrong)))
        self._wrong.setdefault(address, deque(maxlen=FAILURES_MAX + 1)).append(time.monotonic())


def _find_token(header: str, tokens: Sequence[TokenSettings]) -> TokenSettings | None:
    """Return the token of an Authorization header; every hash is compared, so that time tells nothing."""
    scheme, _, value = header.partition(" ")
    digest = hashlib.sha256(value.strip().encode("utf-8", "surrogateescape")).hexdigest()
    found = None
    for token in tokens:
        if hmac.compare_digest(digest, token.sha256):
            found = token
    return found if scheme.lower() == "bearer" else None


def _peer_uid(request: web.Request) -> int:
    connection: Any = request.transport.get_extra_info("socket") if request.transport else None
    if connection is None:
        raise Refusal("forbidden", "the connection is gone")
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    uid: int = struct.unpack("3i", credentials)[1]
    return uid
