"""One WebSocket connection to an OpenClaw gateway: handshake, requests and events; knows nothing about jobs."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
from msgspec import Struct

from shared.ids import new_id
from stitcherd.executors.openclaw.protocol import (
    PROTOCOL_VERSION,
    ConnectionPolicy,
    ErrorInfo,
    GatewayLost,
    HelloAnswer,
    RequestRefused,
    connect_params,
    decode_frame,
)

CONNECT_TIMEOUT_SECONDS = 10.0
REQUEST_TIMEOUT_SECONDS = 30.0
CLOSE_TIMEOUT_SECONDS = 0.2
MISSED_TICKS = 2  # a gateway that is silent for this many of its own ticks is gone
FRAME_MAX = 32 << 20  # bytes; the gateway sends up to 25 MiB

OPERATOR_SCOPES = ("operator.read", "operator.write")
ADMIN_SCOPES = (*OPERATOR_SCOPES, "operator.admin")

log = logging.getLogger(__name__)


class GatewayAddress(Struct, frozen=True):
    """The URL of a gateway, and the token for it."""

    url: str
    token: str | None


class GatewayEvent(Struct, frozen=True):
    """An event that the gateway sent."""

    name: str
    payload: dict[str, Any]


END_OF_EVENTS = GatewayEvent("", {})  # a reader of the events may put it into the queue to stop itself


@asynccontextmanager
async def connect(
    address: GatewayAddress, scopes: Sequence[str] = OPERATOR_SCOPES
) -> AsyncIterator["GatewayConnection"]:
    """Open a connection for the duration of the context. Raises GatewayLost and RequestRefused."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(connect=CONNECT_TIMEOUT_SECONDS)) as session:
        try:
            socket = await session.ws_connect(
                address.url,
                timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_TIMEOUT_SECONDS),
                max_msg_size=FRAME_MAX,
                compress=0,
            )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise GatewayLost(f"the gateway at {address.url} cannot be reached: {_reason(error)}") from error
        connection = GatewayConnection(socket)
        reader = asyncio.create_task(connection.read())
        try:
            try:
                await connection.handshake(address.token, scopes)
            except TimeoutError as late:
                silent = f"the gateway at {address.url} did not greet within {CONNECT_TIMEOUT_SECONDS:g} s"
                raise GatewayLost(silent) from late
            yield connection
        finally:
            reader.cancel()
            await asyncio.wait({reader})  # awaiting it would swallow a cancellation of our own
            await socket.close()


class GatewayConnection:
    """A connection; `version` and `boot` are those of the gateway, and `boot` changes with each restart of it.

    `events` has the events in order, each before any answer that was sent after it.
    """

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.version = ""
        self.boot = ""
        self.events: asyncio.Queue[GatewayEvent] = asyncio.Queue()
        self._socket = socket
        self._policy = ConnectionPolicy()
        self._pending: dict[str, tuple[str, asyncio.Future[dict[str, Any]]]] = {}
        self._lost: GatewayLost | None = None

    async def request(
        self,
        method: str,
        params: dict[str, Any],
        seconds: float = REQUEST_TIMEOUT_SECONDS,
    ) -> dict[str, Any]:
        """Send a request, and return the payload of its first answer; later answers to it are ignored.

        Raises RequestRefused, also for a frame that is larger than the gateway accepts, and GatewayLost, also if
        no answer comes within `seconds`.
        """
        if self._lost is not None:
            raise self._lost
        request_id = new_id()
        frame = msgspec.json.encode({"type": "req", "id": request_id, "method": method, "params": params})
        if len(frame) > self._policy.max_payload:
            # The gateway would close the connection, and every other pending request would fail with it.
            message = f"it takes at most {self._policy.max_payload} bytes, and these are {len(frame)}"
            raise RequestRefused(method, "TOO_LARGE", message)
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._pending[request_id] = method, answer
        try:
            await self._socket.send_str(frame.decode())
            async with asyncio.timeout(seconds):  # wait_for may swallow a cancellation that comes with the answer
                return await answer
        except (aiohttp.ClientError, ConnectionError) as error:
            raise GatewayLost(f"the connection to the gateway broke: {error}") from error
        except TimeoutError as late:
            raise GatewayLost(f"the gateway did not answer {method} within {seconds:g} s") from late
        finally:
            del self._pending[request_id]

    async def handshake(self, token: str | None, scopes: Sequence[str]) -> None:
        """Authenticate; requests are answered afterwards. Raises RequestRefused, GatewayLost and TimeoutError."""
        async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
            challenge = await self.events.get()
        if challenge.name != "connect.challenge":
            raise GatewayLost("what answered does not speak as an OpenClaw gateway does")
        try:
            hello = msgspec.convert(await self.request("connect", connect_params(token, scopes)), HelloAnswer)
        except msgspec.ValidationError as error:
            raise GatewayLost(f"what answered does not greet as an OpenClaw gateway does: {error}") from error
        if hello.protocol != PROTOCOL_VERSION:
            mismatch = f"it speaks protocol {hello.protocol}, not {PROTOCOL_VERSION}"
            raise RequestRefused("connect", "PROTOCOL_MISMATCH", mismatch)
        self.version, self.boot, self._policy = hello.server.version, hello.server.boot_id, hello.policy

    async def read(self) -> None:
        """Read frames until the connection ends, then fail all pending requests."""
        try:
            while True:
                silence = MISSED_TICKS * self._policy.tick_interval_ms / 1000
                async with asyncio.timeout(silence):
                    message = await self._socket.receive()
                if message.type is not aiohttp.WSMsgType.TEXT:
                    self._lost = GatewayLost(f"the gateway closed the connection ({self._socket.close_code})")
                    return
                self._handle_frame(message.data)
        except TimeoutError:
            self._lost = GatewayLost(f"the gateway was silent for {silence:g} s")
        finally:
            self._lost = self._lost or GatewayLost("the connection to the gateway was closed")
            for _, answer in self._pending.values():
                if not answer.done():
                    answer.set_exception(self._lost)

    def _handle_frame(self, data: str) -> None:
        try:
            frame = decode_frame(data)
        except msgspec.DecodeError as error:
            log.warning("ignoring a frame of the gateway that cannot be decoded: %s", error)
            return
        if frame.type == "event":
            self.events.put_nowait(GatewayEvent(frame.event, frame.payload or {}))
            return
        method, answer = self._pending.get(frame.id, ("", None))
        if answer is None or answer.done():
            return
        if frame.ok:
            answer.set_result(frame.payload or {})
        else:
            info = frame.error or ErrorInfo()
            answer.set_exception(
                RequestRefused(method, info.code, info.message, info.details, retryable=info.retryable)
            )


def _reason(error: Exception) -> str:
    """Return why a connection failed, in the kernel's words if it was the kernel that refused."""
    number = error.errno if isinstance(error, OSError) else None
    return os.strerror(number).lower() if number else str(error) or "no answer"
