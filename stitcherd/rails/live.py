"""Holds the rails in force: the last valid text of rails.yaml, the fault of the newest one, and older revisions."""

import asyncio
import logging
import re
import time
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import msgspec
from msgspec import UNSET, structs

from shared.api import RailsChange, RailsFault, RailsState
from shared.ids import format_timestamp, now_ms, revision_name
from stitcherd.rails.compiled import CompiledRails
from stitcherd.rails.diff import compare_rails, summarize_changes
from stitcherd.rails.load import RailsBeingWritten, RailsError, parse_rails, read_rails
from stitcherd.rails.validate import RailsContext

WRITING_SECONDS = 5.0  # that a file may be open for writing before this is reported as its fault
MAX_COMPILED = 32  # older revisions that are kept compiled
REVISION = re.compile(r"r-([0-9a-f]{8,64})")
MAX_EVENT_CHANGES = 20  # changes that an event lists; the state lists all

log = logging.getLogger(__name__)


class AmbiguousRevision(Exception):
    """Several stored rails begin with the digits that were given."""


class RevisionStore(Protocol):
    """Where the texts of the rails and the events about them are stored."""

    async def save(self, digest: str, text: str, now: int, /) -> None:
        """Store a text by its digest (`now` in ms); storing it again changes nothing."""
        ...

    async def text(self, digest: str, /) -> str | None:
        """Return the stored text with a digest, or None."""
        ...

    async def find(self, start: str, limit: int, /) -> tuple[str, ...]:
        """Return at most `limit` digests of stored texts that begin with these hexadecimal digits."""
        ...

    async def put_in_force(self, digest: str, payload: dict[str, Any], now: int, /, *, instead_of: str | None) -> bool:
        """Put a stored text in force for all daemons, with an event; return False, and do nothing, if others are.

        That is, others than `instead_of`, the digest that the caller knows; None for any.
        """
        ...

    async def put_none_in_force(self) -> None:
        """Let no rails be in force for any daemon."""
        ...

    async def in_force(self) -> str | None:
        """Return the digest of the rails in force for all daemons, None without any."""
        ...

    async def add_event(self, type_: str, payload: dict[str, Any], now: int, /) -> None:
        """Store an event of the daemon."""
        ...


class LiveRails:
    """The rails in force. A change of the file puts its text in force, for all daemons that share the store.

    A daemon follows what others put in force; its file then differs from that, until it is changed too. Setting
    `reload_requested` has the watcher read the file at once.
    """

    def __init__(self, path: Path, store: RevisionStore, context: RailsContext) -> None:
        self.path = path
        self.reload_requested = asyncio.Event()
        self.current: CompiledRails | None = None
        self.unusable: str | None = None  # the rails in force, and why this daemon cannot use them
        self._store = store
        self._context = context
        self._loaded_at: str | None = None
        self._error: RailsFault | None = None
        self._before: str | None = None
        self._changes: tuple[RailsChange, ...] = ()
        self._older: dict[str, CompiledRails] = {}
        self._reloading = asyncio.Lock()
        self._written_since: float | None = None
        self._file_text: str | None = None  # as it was last read, unless it was invalid
        self._insists = False
        self._in_force: str | None = None  # the digest of what is in force for all, as far as is known here

    def request_reload(self) -> None:
        """Have the file read at once, and put in force even if it did not change."""
        self._insists = True
        self.reload_requested.set()

    async def start(self, *, follow: bool) -> None:
        """Put the file in force, or nothing if it is invalid; or `follow` what other daemons have put in force."""
        if follow:
            with suppress(RailsError):
                self._file_text = await asyncio.to_thread(read_rails, self.path)
            await self.follow()
            return
        await self.reload()
        if self.current is None:
            await self._store.put_none_in_force()

    async def follow(self) -> None:
        """Use the rails that are in force for all daemons; raises what the store raises."""
        async with self._reloading:
            digest = await self._store.in_force()
            if digest == self._in_force:
                return
            text = await self._store.text(digest) if digest else None
            if digest is None or text is None:
                self.current = self.unusable = self._in_force = None
                return
            try:
                self._use(await asyncio.to_thread(self._parse_stored, text), now_ms())
            except RailsError as error:
                self.current, self._in_force = None, digest
                self.unusable = f"{revision_name(digest)}, which another daemon put in force, cannot be used: {error}"
                log.error("rails %s", self.unusable)  # noqa: TRY400 (no bug of ours)

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
                if self._is_new(text):
                    await self._activate(await asyncio.to_thread(self.parse, text))
                self._file_text, self._error, self._insists = text, None, False
            except RailsBeingWritten as error:
                self._written_since = self._written_since or time.monotonic()
                if time.monotonic() - self._written_since > WRITING_SECONDS:
                    await self._reject(error)
                return False
            except RailsError as error:
                await self._reject(error, text)
            return True

    def _is_new(self, text: str) -> bool:
        """Say whether the text of the file is to be put in force."""
        if self._in_force is None:
            return True
        if self.current is not None and text == self.current.text:
            return self._error is not None
        return text != self._file_text or self._insists

    def parse(self, text: str) -> CompiledRails:
        """Return the compiled rails of another text, checked as the file is; raises RailsError."""
        return parse_rails(text, self._context, name=self.path.name)

    async def at(self, digest: str) -> CompiledRails:
        """Return rails that were in force at some time; raises LookupError if they are unknown or no longer valid."""
        if self.current is not None and self.current.digest == digest:
            return self.current
        if digest not in self._older:
            name, text = revision_name(digest), await self._store.text(digest)
            if text is None:
                raise LookupError(f"rails {name}")
            try:
                self._keep(await asyncio.to_thread(self._parse_stored, text))
            except RailsError as error:
                raise LookupError(f"rails {name}: {error}") from error
        return self._older[digest]

    def state(self) -> RailsState:
        """Return the rails in force and the fault of the file."""
        rails = self.current
        return RailsState(
            revision=rails.revision if rails else None,
            loaded_at=self._loaded_at,
            mode=rails.mode if rails else None,
            path=self.path.name,
            text=rails.text if rails else None,
            warnings=(*self._differences(), *rails.warnings) if rails else (),
            error=self._error,
            digest=rails.digest if rails else None,
            before=revision_name(self._before) if self._before else None,
            before_digest=self._before,
            changes=self._changes,
        )

    @property
    def in_force(self) -> str:
        """The digest of the rails in force for all daemons, as far as is known here; empty without any."""
        return self._in_force or ""

    @property
    def differs(self) -> bool:
        """Whether the file is valid, and not what is in force."""
        return self._error is None and self.current is not None and self._file_text not in {None, self.current.text}

    def _differences(self) -> tuple[RailsFault, ...]:
        if not self.differs or self.current is None:
            return ()
        message = f"another daemon put {self.current.revision} in force, from which this file differs"
        return (RailsFault(1, 1, f"{message}: make them the same, or send SIGHUP to put this file in force"),)

    async def state_against(self, revision: str) -> RailsState:
        """Return the rails in force and their changes since another revision, `r-` and 8 to 64 digits of its digest.

        Raises LookupError if it is unknown, AmbiguousRevision if several begin with these digits.
        """
        name = REVISION.fullmatch(revision)
        digests = await self._store.find(name[1], 2) if name else ()
        if not digests:
            raise LookupError(f"rails {revision!r}")
        if len(digests) > 1:
            raise AmbiguousRevision(revision)
        before, state = await self.at(digests[0]), self.state()
        changed = compare_rails(before.outline, self.current.outline) if self.current else ()
        return structs.replace(
            state, before=before.revision, before_digest=before.digest, changes=changed, before_text=before.text
        )

    def _parse_stored(self, text: str) -> CompiledRails:
        return parse_rails(text, self._context._replace(facts=None), name=self.path.name)  # as executors were then

    async def _activate(self, rails: CompiledRails) -> None:
        now, before = now_ms(), self.current
        await self._store.save(rails.digest, rails.text, now)
        changed = compare_rails(before.outline, rails.outline) if before else ()
        payload = {
            "revision": rails.revision,
            "digest": rails.digest,
            "before": before.revision if before else None,
            "beforeDigest": before.digest if before else None,
            "changes": msgspec.to_builtins(changed[:MAX_EVENT_CHANGES]),
            "changed": len(changed),
            "summary": summarize_changes(changed),
        }
        if not await self._store.put_in_force(rails.digest, payload, now, instead_of=self._in_force):
            log.warning("%s is not put in force: another daemon has just put others in force", rails.revision)
            return
        self._use(rails, now)
        for warning in rails.warnings:
            log.warning("%s:%d:%d: %s", self.path.name, warning.line, warning.column, warning.message)

    def _use(self, rails: CompiledRails, now: int) -> None:
        """Use rails that are in force since then (ms)."""
        before = self.current
        changed: tuple[RailsChange, ...] = ()
        if before is not None:
            changed = compare_rails(before.outline, rails.outline)
            self._keep(before)
            if before.digest != rails.digest:
                self._before, self._changes = before.digest, changed
        self.current, self.unusable, self._in_force = rails, None, rails.digest
        self._loaded_at = format_timestamp(now)
        summary = f": {summarize_changes(changed)}" if changed else ""
        log.info("rails %s are in force, mode %s%s", rails.revision, rails.mode, summary)

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
        stays = f"{self.current.revision} stays in force" if self.current else self.unusable
        log.error(
            "%s:%d:%d: %s (%s)", self.path.name, error.line, error.column, message, stays or "no rails are in force"
        )

    def _keep(self, rails: CompiledRails) -> None:
        self._older.pop(rails.digest, None)
        self._older[rails.digest] = rails
        while len(self._older) > MAX_COMPILED:
            del self._older[next(iter(self._older))]
