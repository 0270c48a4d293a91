"""Huey fitted to this house: what of it is replaced, and why; tests/stitcherd/test_queue.py holds its shapes."""

import json
import threading
from collections.abc import Iterable
from typing import Any

from huey.constants import EmptyData
from huey.consumer import Consumer, Scheduler
from huey.registry import Message
from huey.serializer import Serializer
from huey.storage import SqliteStorage

SAFETY_SECONDS = 1.0  # a worker looks again after this long, should a wake-up ever be lost


class Json(Serializer):  # type: ignore[misc]  # huey has no types
    """Messages as JSON: whoever can write the queue's file must not be able to run code through pickle."""

    def _serialize(self, data: Message) -> bytes:
        return json.dumps([data.id, data.name, data.args]).encode()

    def _deserialize(self, data: bytes) -> Message:
        identifier, name, args = json.loads(bytes(data))
        return Message(identifier, name, args=tuple(args), kwargs={})


class Storage(SqliteStorage):  # type: ignore[misc]
    """Huey's SQLite storage, with a condition that wakes a worker as soon as there is a message."""

    blocking = True  # Worker.loop then does not sleep between two looks

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._arrived = threading.Condition()
        self._sequence = 0
        self._closed = False
        super().__init__(*args, **kwargs)

    def enqueue(self, data: bytes, priority: float | None = None) -> None:
        """Add a message, and wake a worker for it."""
        super().enqueue(data, priority)
        self._wake(1)

    def enqueue_many(self, messages: Iterable[tuple[bytes, float]]) -> None:
        """Add messages with their priorities in one transaction."""
        with self.db(commit=True) as cursor:
            cursor.executemany(
                "INSERT INTO task (queue, data, priority) VALUES (?, ?, ?)",
                [(self.name, data, priority) for data, priority in messages],
            )
        self._wake(None)

    def dequeue(self) -> bytes | None:
        """Take the next message; where there is none, wait a while for one to come."""
        with self._arrived:
            seen = self._sequence
        data: bytes | None = super().dequeue()
        if data is None:
            with self._arrived:
                if self._sequence == seen and not self._closed:
                    self._arrived.wait(SAFETY_SECONDS)
        return data

    def peek_many(self, keys: Iterable[str]) -> dict[str, bytes]:  # noqa: ARG002 (huey's signature)
        """Find nothing: before each message Huey asks whether it was revoked, and here none ever is."""
        return {}

    def pop_data(self, key: str) -> object:  # noqa: ARG002 (huey's signature)
        """Find nothing: after each message Huey deletes its revocation, in a transaction of its own."""
        return EmptyData

    def close_for_good(self) -> None:
        """Let no worker wait any longer."""
        with self._arrived:
            self._closed = True
            self._arrived.notify_all()

    def _wake(self, workers: int | None) -> None:
        with self._arrived:
            self._sequence += 1
            if workers is None:
                self._arrived.notify_all()
            else:
                self._arrived.notify(workers)


class NoSchedule(Scheduler):  # type: ignore[misc]
    """Huey's scheduler with nothing to do: as it comes it takes the file's lock every second."""

    def loop(self, now: object = None) -> None:  # noqa: ARG002 (huey's signature)
        """Wait for the end."""
        self.stop_flag.wait()


class EmbeddedConsumer(Consumer):  # type: ignore[misc]
    """Huey's consumer inside our process: the daemon's signals stay the daemon's."""

    scheduler_class = NoSchedule

    def _set_signal_handlers(self) -> None:
        """Install nothing."""
