"""Huey's consumer inside our process, and the form of its messages.

Of Huey only queue, priority and workers are used: no results, retries, schedules, locks or revocations. The private
names of Huey that the adapters rely on are checked by tests/stitcherd/test_queue.py.
"""

import json

from huey.consumer import Consumer, Scheduler
from huey.registry import Message
from huey.serializer import Serializer


class JsonSerializer(Serializer):  # type: ignore[misc]  # huey has no types
    """Serializes messages as JSON: unlike with pickle, write access to the queue's file is not code execution."""

    def _serialize(self, data: Message) -> bytes:
        return json.dumps([data.id, data.name, data.args]).encode()

    def _deserialize(self, data: bytes) -> Message:
        identifier, name, args = json.loads(bytes(data))
        return Message(identifier, name, args=tuple(args), kwargs={})


class NullScheduler(Scheduler):  # type: ignore[misc]
    """Huey's scheduler with nothing to do: the original takes the file's lock every second."""

    def loop(self, now: object = None) -> None:  # noqa: ARG002 (huey's signature)
        """Wait until the consumer stops."""
        self.stop_flag.wait()


class EmbeddedConsumer(Consumer):  # type: ignore[misc]
    """Huey's consumer inside our process, which handles signals itself."""

    scheduler_class = NullScheduler

    def _set_signal_handlers(self) -> None:
        """Install nothing."""
