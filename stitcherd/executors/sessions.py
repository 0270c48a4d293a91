"""What executors whose agents keep sessions have in common: the saved reference, and reports of what became of one."""

from typing import Self

import msgspec
from msgspec import Struct

from stitcherd.executors.base import OutputSink


class SavedReference(Struct, frozen=True):
    """Fields of a reference, which a sink saves as texts."""

    @classmethod
    def from_saved(cls, saved: dict[str, str]) -> Self:
        """Return a saved reference. Raises msgspec.ValidationError."""
        return msgspec.convert(saved, cls, strict=False)

    def to_saved(self) -> dict[str, str]:
        """Return the reference in the form in which it is saved."""
        return {name: str(value) for name, value in msgspec.structs.asdict(self).items()}


async def record_resumed(sink: OutputSink, session: str) -> None:
    """Report that a try is in the session of the try before, in the output and as an event."""
    sink.write(f"[session {session} is resumed]\n".encode(errors="replace"))
    await sink.record_event("ai.session_resumed", {"session": session})


async def record_lost(sink: OutputSink, session: str, reason: str) -> None:
    """Report that a session cannot be resumed and a new one begins, in the output and as an event."""
    sink.write(f"[session {session} cannot be resumed, and a new one begins: {reason}]\n".encode(errors="replace"))
    await sink.record_event("ai.session_lost", {"session": session, "reason": reason})
