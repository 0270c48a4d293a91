"""The frames of the gateway's protocol, version 4, as far as we read them; unknown fields are let pass."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from shared import VERSION

PROTOCOL = 4


class Error(Struct):
    """Why a request was refused."""

    code: str = "UNKNOWN"
    message: str = ""
    details: Any = None
    retryable: bool = False


class Frame(Struct):
    """Anything that the gateway sends; which fields there are depends on `type`: res or event."""

    type: str
    id: str = ""
    ok: bool = False
    event: str = ""
    payload: dict[str, Any] | None = None
    error: Error | None = None


class Server(Struct, rename="camel"):
    """Who answered; `boot_id` differs after each of its starts."""

    version: str
    boot_id: str


class Policy(Struct, rename="camel"):
    """What the gateway wants kept."""

    max_payload: int = 25 << 20  # bytes
    tick_interval_ms: int = 30_000


class Hello(Struct):
    """The answer to `connect`."""

    protocol: int
    server: Server
    policy: Policy = msgspec.field(default_factory=Policy)


decode = msgspec.json.Decoder(Frame).decode


def introduction(token: str | None, scopes: Sequence[str]) -> dict[str, Any]:
    """Return what `connect` is asked with."""
    # The gateway has a list of clients: this pair is the one for a program on its own machine, without a pairing.
    client = {"id": "gateway-client", "mode": "backend", "version": VERSION, "platform": "linux"}
    return {
        "minProtocol": PROTOCOL,
        "maxProtocol": PROTOCOL,
        "client": {**client, "displayName": "stitcherd"},
        "role": "operator",
        "scopes": list(scopes),
        "caps": [],
        "auth": {"token": token} if token else {},
    }
