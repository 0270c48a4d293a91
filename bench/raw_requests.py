"""Sends raw, possibly malformed requests and checks what is answered."""

import asyncio
import json
import socket
import struct
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

TIMEOUT = 30.0  # seconds for a response, or for the end of the connection
PAUSE = 0.05  # seconds to wait for a response before the sending side is closed
PROBLEM = "application/problem+json"


class RawResponse(NamedTuple):
    """The first response on a connection; status 0 if it ended without one."""

    status: int = 0
    kind: str = ""
    body: bytes = b""

    @property
    def fault(self) -> str | None:
        """Return why no request may be answered like this, or None."""
        if self.status >= 500:
            return f"{self.status} {self.body[:300]!r}"
        if self.status >= 400 and self.kind != PROBLEM:
            return f"{self.status} is not a problem document but {self.kind!r}: {self.body[:300]!r}"
        if self.status >= 400 and self.body and json.loads(self.body)["status"] != self.status:
            return f"{self.status} with {self.body!r}"
        return None


async def send_raw(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pieces: Sequence[bytes], ending: str
) -> RawResponse:
    """Send the pieces and return the response.

    With `ending` half, the sending side is closed if no response comes soon; with reset, the connection is reset. Raises
    TimeoutError if neither a response nor the end of the connection comes.
    """
    try:
        async with asyncio.timeout(TIMEOUT):
            with suppress(ConnectionError):
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
                if ending == "reset":
                    connection = writer.get_extra_info("socket")
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    return RawResponse()
            responding = asyncio.create_task(_read_response(reader))
            if ending == "half" and not (await asyncio.wait({responding}, timeout=PAUSE))[0]:
                with suppress(OSError):
                    writer.write_eof()
            return await responding
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def _read_response(reader: asyncio.StreamReader) -> RawResponse:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        while head.split(b" ", 2)[1] == b"100":  # continue
            head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        response = RawResponse(int(lines[0].split(" ")[1]), fields.get("content-type", ""))
    except (asyncio.IncompleteReadError, ConnectionError):
        return RawResponse()
    with suppress(asyncio.IncompleteReadError, ConnectionError):  # a HEAD has no body, whatever its length
        response = response._replace(body=await reader.readexactly(int(fields.get("content-length", "0"))))
    return response
