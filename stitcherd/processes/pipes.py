"""Both ends of a child's pipes on the event loop: nothing here blocks, or waits for the other."""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from typing import IO

READ_MAX = 64 * 1024


class OutputReader:
    """Hands what comes out of a pipe to `write`; a `fault` of `write` is kept, and the pipe still emptied."""

    def __init__(self, pipe: int, write: Callable[[bytes], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._pipe = pipe
        self._write_chunk = write
        self.fault: Exception | None = None
        self.ended: asyncio.Future[None] = self._loop.create_future()
        os.set_blocking(pipe, False)
        self._loop.add_reader(pipe, self._read)

    def close(self) -> None:
        """Take what is still in the pipe (not what is yet to be written), and let go of it."""
        for _ in range(16):  # a pipe holds at most 1 MiB: /proc/sys/fs/pipe-max-size
            if self.ended.done() or not self._read():
                break
        self._end()

    def _read(self) -> bool:
        try:
            piece = os.read(self._pipe, READ_MAX)
        except BlockingIOError:
            return False
        if not piece:
            self._end()
            return False
        if not self.fault:
            try:
                self._write_chunk(piece)
            except Exception as fault:  # noqa: BLE001 (raised by whoever waits for the command)
                self.fault = fault
        return True

    def _end(self) -> None:
        self._loop.remove_reader(self._pipe)
        if not self.ended.done():
            self.ended.set_result(None)


class StdinWriter:
    """Writes `data` into a child's stdin as fast as it is read, and closes it; a child may ignore it."""

    def __init__(self, pipe: IO[bytes], data: bytes) -> None:
        self._loop = asyncio.get_running_loop()
        self._pipe = pipe
        self._rest = memoryview(data)
        os.set_blocking(pipe.fileno(), False)
        self._loop.add_writer(pipe.fileno(), self._write)

    def close(self) -> None:
        """Stop writing."""
        if not self._pipe.closed:
            self._loop.remove_writer(self._pipe.fileno())
            with suppress(BrokenPipeError):
                self._pipe.close()

    def _write(self) -> None:
        try:
            self._rest = self._rest[os.write(self._pipe.fileno(), self._rest) :]
        except BlockingIOError:
            return
        except OSError:
            self._rest = self._rest[:0]
        if not self._rest:
            self.close()
