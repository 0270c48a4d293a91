"""Reads and writes the pipes of a child process on the event loop; nothing here blocks."""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from typing import IO

READ_MAX = 64 * 1024


class OutputReader:
    """Passes what comes out of a pipe to `write`; an exception of `write` is kept as `error`, and reading goes on."""

    def __init__(self, pipe: int, write: Callable[[bytes], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._pipe = pipe
        self._write = write
        self.error: Exception | None = None
        self.ended: asyncio.Future[None] = self._loop.create_future()
        os.set_blocking(pipe, False)
        self._loop.add_reader(pipe, self._read)

    def close(self) -> None:
        """Read what is in the pipe now, and stop."""
        for _ in range(16):  # a pipe holds at most 1 MiB: /proc/sys/fs/pipe-max-size
            if self.ended.done() or not self._read():
                break
        self._end()

    def _read(self) -> bool:
        try:
            chunk = os.read(self._pipe, READ_MAX)
        except BlockingIOError:
            return False
        if not chunk:
            self._end()
            return False
        if not self.error:
            try:
                self._write(chunk)
            except Exception as error:  # noqa: BLE001 (raised by `run_child`)
                self.error = error
        return True

    def _end(self) -> None:
        self._loop.remove_reader(self._pipe)
        if not self.ended.done():
            self.ended.set_result(None)


class StdinWriter:
    """Writes to the stdin of a child as fast as the child reads it; a child may ignore it.

    `data` is all that there is to write, after which the pipe is closed; without `data` it is open until `finish`.
    """

    def __init__(self, pipe: IO[bytes], data: bytes | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._pipe = pipe
        self._rest = bytearray()
        self._finished = False
        os.set_blocking(pipe.fileno(), False)
        if data is not None:
            self.send(data)
            self.finish()

    @property
    def pending(self) -> int:
        """How many bytes the child has not read yet."""
        return len(self._rest)

    def send(self, data: bytes) -> None:
        """Add what is to be written; nothing is once the pipe is closed."""
        if self._pipe.closed or self._finished:
            return
        if not self._rest:
            self._loop.add_writer(self._pipe.fileno(), self._write)
        self._rest += data

    def finish(self) -> None:
        """Close the pipe when all is written."""
        self._finished = True
        if not self._rest:
            self.close()

    def close(self) -> None:
        """Stop writing."""
        if not self._pipe.closed:
            self._loop.remove_writer(self._pipe.fileno())
            with suppress(BrokenPipeError):
                self._pipe.close()

    def _write(self) -> None:
        try:
            del self._rest[: os.write(self._pipe.fileno(), self._rest)]
        except BlockingIOError:
            return
        except OSError:
            self._rest.clear()
            self.close()
            return
        if not self._rest:
            self._loop.remove_writer(self._pipe.fileno())
            if self._finished:
                self.close()
