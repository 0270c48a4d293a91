"""One request at a door, sent as it is however broken, and what came back held against what may."""

import asyncio
import json
import socket
import struct
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

WITHIN = 30.0  # seconds for an answer, or for the end of the connection
PAUSE = 0.05  # seconds, for an answer to what may be a whole request or half of one
PROBLEM = "application/problem+json"


class Answer(NamedTuple):
    """The first answer on a connection; status 0 where it ended without one."""

    status: int = 0
    kind: str = ""
    body: bytes = b""

    @property
    def fault(self) -> str | None:
        """Why this may not be answered to anything, None where it may."""
        if self.status >= 500:
            return f"{self.status} {self.body[:300]!r}"
        if self.status >= 400 and self.kind != PROBLEM:
            return f"{self.status} is no problem document but {self.kind!r}: {self.body[:300]!r}"
        if self.status >= 400 and self.body and json.loads(self.body)["status"] != self.status:
            return f"{self.status} with {self.body!r}"
        return None


async def knock(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pieces: Sequence[bytes], ending: str
) -> Answer:
    """Send the pieces and read the answer; `half` ends our side if none comes soon, `reset` tears all down.

    Raises TimeoutError where neither an answer nor an end comes.
    """
    try:
        async with asyncio.timeout(WITHIN):
            with suppress(ConnectionError):
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
                if ending == "reset":
                    connection = writer.get_extra_info("socket")
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    return Answer()
            answering = asyncio.create_task(_answer(reader))
            if ending == "half" and not (await asyncio.wait({answering}, timeout=PAUSE))[0]:
                with suppress(OSError):
                    writer.write_eof()
            return await answering
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def _answer(reader: asyncio.StreamReader) -> Answer:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        while head.split(b" ", 2)[1] == b"100":  # go on
            head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        answer = Answer(int(lines[0].split(" ")[1]), fields.get("content-type", ""))
    except (asyncio.IncompleteReadError, ConnectionError):
        return Answer()
    with suppress(asyncio.IncompleteReadError, ConnectionError):  # a HEAD has no body, whatever its length
        answer = answer._replace(body=await reader.readexactly(int(fields.get("content-length", "0"))))
    return answer
