"""JSON-RPC in lines of JSON over the pipes of an agent; any bytes may arrive, and none of them raises an exception."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from stitcherd.processes import StdinWriter

LINE_MAX = 8 << 20  # bytes; a longer line is discarded
WAITING_MAX = 32 << 20  # bytes of messages that were not handled yet, and of what the agent has not read
ERROR_TEXT_MAX = 500  # characters of the agent's own text in a failure
METHOD_NOT_FOUND = -32601


class AgentLost(Exception):
    """The agent cannot answer any more; the text says why, as a sentence about it without a period."""


class AgentRefused(Exception):
    """The agent answered a request with an error; the text says which and why."""


class Message(Struct):
    """A request (`method` and `id`), a notification (`method`), or an answer (`id`)."""

    id: int | str | UnsetType | None = UNSET
    method: str | None = None
    params: Any = None
    result: Any = None
    error: Any = None


BEGIN_OF_PROMPT, END_OF_MESSAGES = Message(), Message()

_decode = msgspec.json.Decoder(Message).decode


class AgentConnection:
    """The two pipes of an agent.

    `received` is given each line with its message, and `unreadable` each line that is none.
    """

    def __init__(self, received: Callable[[bytes, Message], None], unreadable: Callable[[bytes], None]) -> None:
        self._messages: asyncio.Queue[tuple[Message, int]] = asyncio.Queue()  # with their sizes
        self._received = received
        self._unreadable = unreadable
        self._waiting = 0
        self._line = bytearray()
        self._discarding = False
        self._stdin: StdinWriter | None = None
        self._last_id = 0
        self._pending: dict[int, tuple[str, asyncio.Future[Any]]] = {}
        self._lost: AgentLost | None = None
        self._opened = asyncio.Event()

    def open(self, stdin: StdinWriter) -> None:
        """Set where requests are written: the agent runs."""
        self._stdin = stdin
        self._opened.set()

    def close(self, reason: str) -> None:
        """Fail all pending and later requests."""
        self._lost = self._lost or AgentLost(reason)
        self._opened.set()
        for _, answer in self._pending.values():
            if not answer.done():
                answer.set_exception(self._lost)

    def finish(self) -> None:
        """Close the agent's stdin, which asks it to exit."""
        if self._stdin is not None:
            self._stdin.finish()

    async def request(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """Send a request and return its result; {} for one that is no object. Raises AgentRefused and AgentLost."""
        await self._opened.wait()
        if self._lost is not None:
            raise self._lost
        self._last_id += 1
        number = self._last_id
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._pending[number] = method, answer
        try:
            self._send({"id": number, "method": method, "params": params})
            result = await answer
        finally:
            del self._pending[number]
        return result if isinstance(result, dict) else {}

    def notify(self, method: str, params: dict[str, Any]) -> None:
        """Send a notification."""
        self._send({"method": method, "params": params})

    def answer(self, request: Message, result: dict[str, Any] | None) -> None:
        """Answer a request of the agent; None says that this client does not offer the method."""
        if result is None:
            error = {"code": METHOD_NOT_FOUND, "message": f"this client does not offer {request.method}"}
            self._send({"id": request.id, "error": error})
        else:
            self._send({"id": request.id, "result": result})

    async def next_message(self) -> Message:
        """Return the next request or notification, or BEGIN_OF_PROMPT, or END_OF_MESSAGES."""
        message, size = await self._messages.get()
        self._waiting -= size
        return message

    def begin_prompt(self) -> None:
        """Let `next_message` return BEGIN_OF_PROMPT after those that have arrived."""
        self._messages.put_nowait((BEGIN_OF_PROMPT, 0))

    def end_messages(self) -> None:
        """Let `next_message` return END_OF_MESSAGES after those that have arrived."""
        self._messages.put_nowait((END_OF_MESSAGES, 0))

    def feed(self, data: bytes) -> None:
        """Take what the agent wrote."""
        *ended, rest = data.split(b"\n")
        for piece in ended:
            self._add(piece)
            if not self._discarding and self._line.strip():
                self._receive(bytes(self._line))
            self._line.clear()
            self._discarding = False
        self._add(rest)

    def _add(self, piece: bytes) -> None:
        if self._discarding:
            return
        self._line += piece
        if len(self._line) > LINE_MAX:
            self._line.clear()
            self._discarding = True
            self._unreadable(f"[a line of more than {LINE_MAX >> 20} MiB was discarded]".encode())

    def _receive(self, line: bytes) -> None:
        try:
            message = _decode(line)
        except (msgspec.DecodeError, RecursionError):
            self._unreadable(line)
            return
        self._received(line, message)
        if message.method is None:
            self._settle(message)
            return
        self._waiting += len(line)
        if self._waiting > WAITING_MAX:
            self.close("sent more than could be recorded")
        elif self._lost is None:
            self._messages.put_nowait((message, len(line)))

    def _settle(self, message: Message) -> None:
        """Give an answer to the request that waits for it; there may be none."""
        if not isinstance(message.id, int):
            return
        method, answer = self._pending.get(message.id, ("", None))
        if answer is None or answer.done():
            return
        if message.error is None:
            answer.set_result(message.result)
        else:
            answer.set_exception(AgentRefused(f"{method}: {error_text(message.error)}"))

    def _send(self, message: dict[str, Any]) -> None:
        if self._stdin is None or self._lost is not None:
            return
        self._stdin.send(msgspec.json.encode({"jsonrpc": "2.0", **message}) + b"\n")
        if self._stdin.pending > WAITING_MAX:
            self.close("does not read what it is sent")


def error_text(error: Any) -> str:
    """Return the message of a JSON-RPC error in one line, without a period."""
    text = error.get("message") if isinstance(error, dict) else error
    return " ".join(str(text).split())[:ERROR_TEXT_MAX].rstrip(".") or "no reason"
