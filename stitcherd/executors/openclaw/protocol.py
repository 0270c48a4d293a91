"""The gateway's WebSocket protocol, version 4, as far as Stitcher uses it: frames, answers, events and errors.

Unknown fields are ignored. The protocol is described in `docs/gateway/protocol/` of the npm package openclaw 2026.9.6.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from shared import VERSION
from stitcherd.executors.sessions import SavedReference

PROTOCOL_VERSION = 4
DENIAL_PREFIXES = ("exec denied", "Exec denied", "Exec approval", "SYSTEM_RUN_DENIED", "Path escapes")


class GatewayLost(Exception):
    """The gateway cannot be reached, or no longer; it may come back. The text says how this was noticed."""


class RequestRefused(Exception):
    """The gateway answered with an error; `code` is the most specific one, and `retryable` that it may pass."""

    def __init__(self, method: str, code: str, message: str, details: Any = None, *, retryable: bool = False) -> None:
        super().__init__(f"the gateway refused {method}: {message}")
        specific = details.get("code") if isinstance(details, dict) else None
        self.code = specific if isinstance(specific, str) else code
        self.retryable = retryable
        self.during_connect = method == "connect"

    @property
    def is_authentication(self) -> bool:
        """Whether the gateway does not accept our credentials."""
        return self.code.startswith("AUTH_") or self.code == "DEVICE_IDENTITY_REQUIRED"


class ErrorInfo(Struct):
    """Why a request was refused."""

    code: str = "UNKNOWN"
    message: str = ""
    details: Any = None
    retryable: bool = False


class GatewayFrame(Struct):
    """Any frame that the gateway sends; which fields are present depends on `type`: res or event."""

    type: str
    id: str = ""
    ok: bool = False
    event: str = ""
    payload: dict[str, Any] | None = None
    error: ErrorInfo | None = None


class ServerInfo(Struct, rename="camel"):
    """The gateway that answered; `boot_id` changes with each of its starts."""

    version: str
    boot_id: str


class ConnectionPolicy(Struct, rename="camel"):
    """Limits that the gateway announces for the connection."""

    max_payload: int = 25 << 20  # bytes
    tick_interval_ms: int = 30_000


class HelloAnswer(Struct):
    """The answer to `connect`."""

    protocol: int
    server: ServerInfo
    policy: ConnectionPolicy = msgspec.field(default_factory=ConnectionPolicy)


decode_frame = msgspec.json.Decoder(GatewayFrame).decode


def connect_params(token: str | None, scopes: Sequence[str]) -> dict[str, Any]:
    """Return the parameters of `connect`."""
    # The gateway knows a fixed set of clients: this pair is a program on the same machine, which needs no pairing.
    client = {"id": "gateway-client", "mode": "backend", "version": VERSION, "platform": "linux"}
    return {
        "minProtocol": PROTOCOL_VERSION,
        "maxProtocol": PROTOCOL_VERSION,
        "client": {**client, "displayName": "stitcherd"},
        "role": "operator",
        "scopes": list(scopes),
        "caps": [],
        "auth": {"token": token} if token else {},
    }


class RunReference(SavedReference, frozen=True):
    """What finds a run again after a restart: its ids, the newest last, and the usage that was already reported."""

    key: str  # of the session
    session: str
    runs: str  # separated by spaces
    boot: str = ""  # of the gateway that accepted the run; empty until it did
    input: int = 0
    output: int = 0
    usd: float = 0.0
    turns: int = 0


class TerminalReply(Struct):
    """The last answer of a run's agent."""

    disposition: str = ""
    text: str = ""


class WaitAnswer(Struct, rename="camel"):
    """The answer of `agent.wait`."""

    status: str = ""
    ended_at: float | None = None
    stop_reason: str = ""
    liveness_state: str = ""
    error: str = ""
    terminal_reply: TerminalReply = msgspec.field(default_factory=TerminalReply)


class TurnItem(Struct, rename="camel"):
    """A part of a turn: a tool call, or the text before one."""

    kind: str = ""
    phase: str = ""
    name: str = ""
    title: str = ""
    status: str = ""
    error: str = ""
    tool_call_id: str = ""
    progress_text: str = ""

    @property
    def denied(self) -> bool:
        """Whether the gateway denied the tool call."""
        return self.status == "blocked" or self.error.startswith(DENIAL_PREFIXES)


class _Cost(Struct):
    total: float = 0.0


class CallUsage(Struct):
    """The usage of one model call."""

    input: int = 0
    output: int = 0
    cost: _Cost = msgspec.field(default_factory=_Cost)


class _RowIds(Struct, rename="camel"):
    id: str = ""
    run_id: str = ""


class TranscriptRow(Struct, rename={"ids": "__openclaw", "stop_reason": "stopReason"}):
    """One row of a session's transcript."""

    role: str = ""
    stop_reason: str = ""
    usage: CallUsage | None = None
    ids: _RowIds = msgspec.field(default_factory=_RowIds)


class _ActiveRun(Struct, rename="camel"):
    run_id: str


class ChatHistory(Struct, rename="camel"):
    """A session's transcript, oldest row first, and its active run, if any."""

    messages: list[Any] = []
    in_flight_run: _ActiveRun | None = None

    def rows(self) -> list[TranscriptRow]:
        """Return the rows that have the expected shape."""
        rows = (convert_or_none(message, TranscriptRow) for message in self.messages)
        return [row for row in rows if row is not None]


class GatewaySession(Struct, rename="camel"):
    """A session as the gateway describes it; the usage is that of the last run, and complete once it is `done`."""

    session_id: str = ""
    status: str = ""
    last_run_id: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    estimated_cost_usd: float = 0.0


def convert_or_none(value: Any, shape: type[Any]) -> Any:
    """Return a value converted to a type, or None if a gateway of another version sent something else."""
    try:
        return msgspec.convert(value, shape)
    except msgspec.ValidationError:
        return None
