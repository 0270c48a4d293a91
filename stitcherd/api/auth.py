"""Who is asking: on the Unix socket the peer's uid, which must be the daemon's own or root."""

import os
import socket
import struct
from typing import Any

from aiohttp import web
from msgspec import Struct

from stitcherd.api.answers import Handler
from stitcherd.refusal import Refusal


class Caller(Struct, frozen=True):
    """Who asks, as events name them, and the only workspace that they may see; None is all."""

    actor: str
    workspace: str | None


@web.middleware
async def operator_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let in whoever could have started this daemon; everybody else is refused, whatever the file modes say."""
    uid = _peer_uid(request)
    if uid not in {os.getuid(), 0}:
        raise Refusal("forbidden", f"uid {uid} is neither the daemon's user nor root")
    request["caller"] = Caller(f"uid:{uid}", None)
    return await handler(request)


def caller(request: web.Request) -> Caller:
    """Return who asks."""
    found: Caller = request["caller"]
    return found


def _peer_uid(request: web.Request) -> int:
    connection: Any = request.transport.get_extra_info("socket") if request.transport else None
    if connection is None:
        raise Refusal("forbidden", "the connection is gone")
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    uid: int = struct.unpack("3i", credentials)[1]
    return uid
