"""What the gateway's answers and events mean for a task; pure, and tolerant of what it does not know."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from shared import VERSION

# merged from stitcherd.executors.openclaw.frames: The frames of the gateway's protocol, version 4, as far as
# we read them; unknown fields are let pass.
# merged from stitcherd.executors.openclaw.faults: What can go wrong between Stitcher and a gateway: it says
# no, or it is not there.

DENIAL_PREFIXES = (
    "exec denied",
    "Exec denied",
    "Exec approval",
    "SYSTEM_RUN_DENIED",
    "Path escapes",
)  # how a no begins


class RunReference(Struct):
    """What finds a run again: `runs` are its ids, the newest last; the numbers are what of it was reported."""

    key: str  # of the session
    session: str
    runs: str  # separated by blanks
    boot: str = ""  # of the gateway that has it
    input: int = 0
    output: int = 0
    usd: float = 0.0
    turns: int = 0

    @classmethod
    def of(cls, remembered: dict[str, str]) -> "RunReference":
        """Return what was remembered; raises msgspec.ValidationError."""
        return msgspec.convert(remembered, cls, strict=False)

    def remembered(self) -> dict[str, str]:
        """Return it as it is kept."""
        return {name: str(value) for name, value in msgspec.structs.asdict(self).items()}


class TerminalReply(Struct):
    """What a run ended with."""

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
    """A part of a turn: a tool's call, or a text that came before one."""

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
        """Whether the gateway did not let the tool do it."""
        return self.status == "blocked" or self.error.startswith(DENIAL_PREFIXES)


class _Cost(Struct):
    total: float = 0.0


class CallUsage(Struct):
    """What one call of the model used."""

    input: int = 0
    output: int = 0
    cost: _Cost = msgspec.field(default_factory=_Cost)


class _RowIds(Struct, rename="camel"):
    id: str = ""
    run_id: str = ""


class TranscriptRow(Struct, rename={"marks": "__openclaw", "stop_reason": "stopReason"}):
    """A line of a session's transcript."""

    role: str = ""
    stop_reason: str = ""
    usage: CallUsage | None = None
    marks: _RowIds = msgspec.field(default_factory=_RowIds)


class _ActiveRun(Struct, rename="camel"):
    run_id: str


class ChatHistory(Struct, rename="camel"):
    """A session's transcript, oldest first, and the run that it is in, if any."""

    messages: list[Any] = []
    in_flight_run: _ActiveRun | None = None

    def rows(self) -> list[TranscriptRow]:
        """Return the lines that can be read."""
        return [
            row for row in (convert_or_none(message, TranscriptRow) for message in self.messages) if row is not None
        ]


class GatewaySession(Struct, rename="camel"):
    """A session as the gateway describes it; its numbers are those of the last run, and only once that is `done`."""

    session_id: str = ""
    status: str = ""
    last_run_id: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    estimated_cost_usd: float = 0.0


def convert_or_none(value: Any, shape: type[Any]) -> Any:
    """Return a value in its shape; None where a gateway of another version sent something else."""
    try:
        return msgspec.convert(value, shape)
    except msgspec.ValidationError:
        return None


class ConnectionLost(Exception):
    """The gateway cannot be reached, or is reached no longer; it may come back. The text says how it was noticed."""


class RequestRefused(Exception):
    """The gateway answered no; `code` is the most precise one that it gave, and `passing` that later it may say yes."""

    def __init__(self, method: str, code: str, message: str, details: Any = None, *, passing: bool = False) -> None:
        super().__init__(f"the gateway refused {method}: {message}")
        precise = details.get("code") if isinstance(details, dict) else None
        self.code = precise if isinstance(precise, str) else code
        self.passing = passing
        self.during_connect = method == "connect"

    @property
    def is_authentication(self) -> bool:
        """Whether the gateway does not take us for who we say that we are."""
        return self.code.startswith("AUTH_") or self.code == "DEVICE_IDENTITY_REQUIRED"


PROTOCOL_VERSION = 4


class ErrorInfo(Struct):
    """Why a request was refused."""

    code: str = "UNKNOWN"
    message: str = ""
    details: Any = None
    retryable: bool = False


class GatewayFrame(Struct):
    """Anything that the gateway sends; which fields there are depends on `type`: res or event."""

    type: str
    id: str = ""
    ok: bool = False
    event: str = ""
    payload: dict[str, Any] | None = None
    error: ErrorInfo | None = None


class ServerInfo(Struct, rename="camel"):
    """Who answered; `boot_id` differs after each of its starts."""

    version: str
    boot_id: str


class ConnectionPolicy(Struct, rename="camel"):
    """What the gateway wants kept."""

    max_payload: int = 25 << 20  # bytes
    tick_interval_ms: int = 30_000


class HelloAnswer(Struct):
    """The answer to `connect`."""

    protocol: int
    server: ServerInfo
    policy: ConnectionPolicy = msgspec.field(default_factory=ConnectionPolicy)


decode_frame = msgspec.json.Decoder(GatewayFrame).decode


def connect_params(token: str | None, scopes: Sequence[str]) -> dict[str, Any]:
    """Return what `connect` is asked with."""
    # The gateway has a list of clients: this pair is the one for a program on its own machine, without a pairing.
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
