"""One connection to an OpenClaw gateway: frames, handshake, requests and events; it knows nothing of jobs.

Protocol version 4, as `docs/gateway/protocol/` of the npm package openclaw 2026.9.6 describes it.
"""

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
    ConnectionLost,
    ConnectionPolicy,
    ErrorInfo,
    HelloAnswer,
    RequestRefused,
    connect_params,
    decode_frame,
)

CONNECT_TIMEOUT_SECONDS = 10.0
REQUEST_TIMEOUT_SECONDS = 30.0
MISSED_TICKS = 2  # a gateway that is silent for so many of its own ticks is gone
CLOSE_TIMEOUT_SECONDS = 0.2  # that a gateway has to say goodbye
FRAME_MAX = 32 << 20  # bytes that we take; the gateway sends up to 25 MiB

OPERATOR_SCOPES = ("operator.read", "operator.write")
ADMIN_SCOPES = (*OPERATOR_SCOPES, "operator.admin")

log = logging.getLogger(__name__)


class GatewayAddress(Struct, frozen=True):
    """Where a gateway is, and the token that it asks for."""

    url: str
    token: str | None


class GatewayEvent(Struct, frozen=True):
    """Something that the gateway told without being asked."""

    name: str
    payload: dict[str, Any]


END_OF_EVENTS = GatewayEvent("", {})  # what whoever listens may put behind the last event


class GatewayConnection:
    """A connection with its reader; `version` and `boot` are the gateway's, and `boot` differs after each restart.

    `events` are in the order in which they came, and before the answers that came after them.
    """

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.version = ""
        self.boot = ""
        self.events: asyncio.Queue[GatewayEvent] = asyncio.Queue()
        self._socket = socket
        self._policy = ConnectionPolicy()
        self._waiting: dict[str, tuple[str, asyncio.Future[dict[str, Any]]]] = {}
        self._lost: ConnectionLost | None = None

    async def request(
        self,
        method: str,
        params: dict[str, Any],
        seconds: float = REQUEST_TIMEOUT_SECONDS,
    ) -> dict[str, Any]:
        """Ask, and return the first answer's payload; later answers to the same request are ignored.

        Raises Refused where the gateway says no, or the frame is larger than it takes, and Lost where no answer
        comes within `seconds`.
        """
        if self._lost is not None:
            raise self._lost
        number = new_id()
        frame = msgspec.json.encode({"type": "req", "id": number, "method": method, "params": params})
        if len(frame) > self._policy.max_payload:
            # The gateway would close the connection without a word, and every other request would die with it.
            message = f"it takes at most {self._policy.max_payload} bytes, and these are {len(frame)}"
            raise RequestRefused(method, "TOO_LARGE", message)
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = method, answer
        try:
            await self._socket.send_str(frame.decode())
            async with asyncio.timeout(seconds):  # wait_for may swallow a cancel that comes with the answer
                return await answer
        except (aiohttp.ClientError, ConnectionError) as gone:
            raise ConnectionLost(f"the connection to the gateway broke: {gone}") from gone
        except TimeoutError as late:
            raise ConnectionLost(f"the gateway did not answer {method} within {seconds:g} s") from late
        finally:
            del self._waiting[number]

    async def greet(self, token: str | None, scopes: Sequence[str]) -> None:
        """Introduce ourselves, after which requests are answered; raises Refused and Lost."""
        async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
            challenge = await self.events.get()
        if challenge.name != "connect.challenge":
            raise ConnectionLost("what answered does not speak as an OpenClaw gateway does")
        try:
            hello = msgspec.convert(await self.request("connect", connect_params(token, scopes)), HelloAnswer)
        except msgspec.ValidationError as odd:
            raise ConnectionLost(f"what answered does not greet as an OpenClaw gateway does: {odd}") from odd
        if hello.protocol != PROTOCOL_VERSION:
            raise RequestRefused(
                "connect", "PROTOCOL_MISMATCH", f"it speaks protocol {hello.protocol}, not {PROTOCOL_VERSION}"
            )
        self.version, self.boot, self._policy = hello.server.version, hello.server.boot_id, hello.policy

    async def read(self) -> None:
        """Take what comes until the connection ends, then fail whoever still waits."""
        try:
            while True:
                silence = MISSED_TICKS * self._policy.tick_interval_ms / 1000
                async with asyncio.timeout(silence):
                    message = await self._socket.receive()
                if message.type is not aiohttp.WSMsgType.TEXT:
                    self._lost = ConnectionLost(f"the gateway closed the connection ({self._socket.close_code})")
                    return
                self._take(message.data)
        except TimeoutError:
            self._lost = ConnectionLost(f"the gateway was silent for {silence:g} s")
        finally:
            self._lost = self._lost or ConnectionLost("the connection to the gateway was closed")
            for _, answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(self._lost)

    def _take(self, data: str) -> None:
        try:
            frame = decode_frame(data)
        except msgspec.DecodeError as odd:
            log.warning("a frame of the gateway's cannot be read, and is left out: %s", odd)
            return
        if frame.type == "event":
            self.events.put_nowait(GatewayEvent(frame.event, frame.payload or {}))
            return
        method, answer = self._waiting.get(frame.id, ("", None))
        if answer is None or answer.done():
            return
        if frame.ok:
            answer.set_result(frame.payload or {})
        else:
            error = frame.error or ErrorInfo()
            answer.set_exception(
                RequestRefused(method, error.code, error.message, error.details, passing=error.retryable)
            )


def _connect_error(gone: Exception) -> str:
    """Return what kept us from connecting, in the kernel's words where it was the kernel."""
    number = gone.errno if isinstance(gone, OSError) else None
    return os.strerror(number).lower() if number else str(gone) or "no answer"


@asynccontextmanager
async def connect(address: GatewayAddress, scopes: Sequence[str] = OPERATOR_SCOPES) -> AsyncIterator[GatewayConnection]:
    """Open a connection for as long as the context lasts; raises Lost and Refused, before it and in it."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(connect=CONNECT_TIMEOUT_SECONDS)) as session:
        try:
            socket = await session.ws_connect(
                address.url,
                timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_TIMEOUT_SECONDS),
                max_msg_size=FRAME_MAX,
                compress=0,
            )
        except (aiohttp.ClientError, TimeoutError, OSError) as gone:
            raise ConnectionLost(f"the gateway at {address.url} cannot be reached: {_connect_error(gone)}") from gone
        connection = GatewayConnection(socket)
        reader = asyncio.create_task(connection.read())
        try:
            try:
                await connection.greet(address.token, scopes)
            except TimeoutError as late:
                raise ConnectionLost(
                    f"the gateway at {address.url} did not greet within {CONNECT_TIMEOUT_SECONDS:g} s"
                ) from late
            yield connection
        finally:
            reader.cancel()
            await asyncio.wait({reader})  # awaiting it would swallow a cancel of our own
            await socket.close()
