"""Holds the rails in force: the last valid text of rails.yaml, the fault of the newest one, and older revisions."""

import asyncio
import logging
import re
import time
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import msgspec
from msgspec import UNSET, structs

from shared.api import RailsChange, RailsFault, RailsState
from shared.ids import format_timestamp, now_ms
from stitcherd.rails.compiled import CompiledRails
from stitcherd.rails.diff import compare_rails, summarize_changes
from stitcherd.rails.load import RailsBeingWritten, RailsError, parse_rails, read_rails
from stitcherd.rails.validate import RailsContext

WRITING_SECONDS = 5.0  # that a file may be open for writing before this is reported as its fault
MAX_COMPILED = 32  # older revisions that are kept compiled
REVISION = re.compile(r"r-[0-9a-f]{8}")
MAX_EVENT_CHANGES = 20  # changes that an event lists; the state lists all

log = logging.getLogger(__name__)


class RevisionStore(Protocol):
    """Where revisions of the rails and the events about them are stored."""

    async def save(self, revision: str, text: str, now: int, /) -> None:
        """Store the text of a revision (`now` in ms); storing it again changes nothing."""
        ...

    async def text(self, revision: str, /) -> str | None:
        """Return the text of a stored revision, or None."""
        ...

    async def add_event(self, type_: str, payload: dict[str, Any], now: int, /) -> None:
        """Store an event of the daemon."""
        ...


class LiveRails:
    """The rails in force; only `reload` changes them.

    Setting `reload_requested` has the watcher read the file at once.
    """

    def __init__(self, path: Path, store: RevisionStore, context: RailsContext) -> None:
        self.path = path
        self.reload_requested = asyncio.Event()
        self.current: CompiledRails | None = None
        self._store = store
        self._context = context
        self._loaded_at: str | None = None
        self._error: RailsFault | None = None
        self._before: str | None = None
        self._changes: tuple[RailsChange, ...] = ()
        self._older: dict[str, CompiledRails] = {}
        self._reloading = asyncio.Lock()
        self._written_since: float | None = None

    async def reload(self) -> bool:
        """Read the file again; if it is invalid or missing, the last valid rails stay in force.

        Return False if another process is writing the file: try again soon. Raises what the store raises if the new
        rails cannot be stored; then the old ones stay in force.
        """
        text = ""
        async with self._reloading:
            try:
                text = await asyncio.to_thread(read_rails, self.path)
                self._written_since = None
                if self.current is None or self._error is not None or text != self.current.text:
                    await self._activate(await asyncio.to_thread(self.parse, text))
            except RailsBeingWritten as error:
                self._written_since = self._written_since or time.monotonic()
                if time.monotonic() - self._written_since > WRITING_SECONDS:
                    await self._reject(error)
                return False
            except RailsError as error:
                await self._reject(error, text)
            return True

    def parse(self, text: str) -> CompiledRails:
        """Return the compiled rails of another text, checked as the file is; raises RailsError."""
        return parse_rails(text, self._context, name=self.path.name)

    async def at(self, revision: str) -> CompiledRails:
        """Return a revision that was in force at some time; raises LookupError if it is unknown or no longer valid."""
        if self.current is not None and self.current.revision == revision:
            return self.current
        if revision not in self._older:
            text = await self._store.text(revision)
            if text is None:
                raise LookupError(f"rails {revision}")
            try:
                self._keep(await asyncio.to_thread(self._parse_stored, text))
            except RailsError as error:
                raise LookupError(f"rails {revision}: {error}") from error
        return self._older[revision]

    def state(self) -> RailsState:
        """Return the rails in force and the fault of the file."""
        rails = self.current
        return RailsState(
            revision=rails.revision if rails else None,
            loaded_at=self._loaded_at,
            mode=rails.mode if rails else None,
            path=self.path.name,
            text=rails.text if rails else None,
            warnings=rails.warnings if rails else (),
            error=self._error,
            before=self._before,
            changes=self._changes,
        )

    async def state_against(self, revision: str) -> RailsState:
        """Return the rails in force and their changes since another revision; raises LookupError if it is unknown."""
        if not REVISION.fullmatch(revision):
            raise LookupError(f"rails {revision!r}")
        before, state = await self.at(revision), self.state()
        changed = compare_rails(before.outline, self.current.outline) if self.current else ()
        return structs.replace(state, before=revision, changes=changed, before_text=before.text)

    def _parse_stored(self, text: str) -> CompiledRails:
        return parse_rails(text, self._context._replace(facts=None), name=self.path.name)  # as executors were then

    async def _activate(self, rails: CompiledRails) -> None:
        now, before = now_ms(), self.current
        await self._store.save(rails.revision, rails.text, now)
        changed = compare_rails(before.outline, rails.outline) if before else ()
        payload = {
            "revision": rails.revision,
            "before": before.revision if before else None,
            "changes": msgspec.to_builtins(changed[:MAX_EVENT_CHANGES]),
            "changed": len(changed),
            "summary": summarize_changes(changed),
        }
        await self._store.add_event("rails.reloaded", payload, now)
        if before is not None:
            self._keep(before)
            if before.revision != rails.revision:
                self._before, self._changes = before.revision, changed
        self.current, self._error, self._loaded_at = rails, None, format_timestamp(now)
        summary = f": {payload['summary']}" if changed else ""
        log.info("rails %s are in force, mode %s%s", rails.revision, rails.mode, summary)
        for warning in rails.warnings:
            log.warning("%s:%d:%d: %s", self.path.name, warning.line, warning.column, warning.message)

    async def _reject(self, error: RailsError, text: str = "") -> None:
        message = error.message
        if isinstance(error.__cause__, FileNotFoundError) and self.current is not None:
            message = f"the file is gone: {self.current.revision} stays in force until it is back"
        known = self._error
        if known is not None and (known.line, known.column, known.message) == (error.line, error.column, message):
            return
        now = now_ms()
        payload = {"line": error.line, "column": error.column, "message": message}
        await self._store.add_event("rails.rejected", payload, now)
        source = next(islice(text.splitlines(), error.line - 1, None), None)
        self._error = RailsFault(
            error.line, error.column, message, format_timestamp(now), UNSET if source is None else source
        )
        consequence = f" ({self.current.revision} stays in force)" if self.current else " (no rails are in force)"
        log.error("%s:%d:%d: %s%s", self.path.name, error.line, error.column, message, consequence)

    def _keep(self, rails: CompiledRails) -> None:
        self._older.pop(rails.revision, None)
        self._older[rails.revision] = rails
        while len(self._older) > MAX_COMPILED:
            del self._older[next(iter(self._older))]
