"""The rails in force: the last good text of rails.yaml, what is wrong with the newest one, and older revisions."""

import asyncio
import logging
import re
import time
from collections.abc import Collection
from itertools import islice
from pathlib import Path

import msgspec
from msgspec import UNSET, structs

from shared.api import RailsChange, RailsFault, RailsState
from shared.ids import format_timestamp, now_ms
from stitcherd.policy import ConcurrencyLimits
from stitcherd.rails import load
from stitcherd.rails.compiled import CompiledRails
from stitcherd.rails.diff import compare_rails, summarize_changes
from stitcherd.rails.load import BeingWritten, RailsError
from stitcherd.rails.requirements import RuntimeFacts
from stitcherd.store import decisions
from stitcherd.store.events import add_event
from stitcherd.store.sqlite import Store

PATIENCE_SECONDS = 5.0  # for whoever is writing the file, before that is said to be what is wrong with it
MAX_COMPILED = 32  # older revisions that are kept compiled
REVISION = re.compile(r"r-[0-9a-f]{8}")
MAX_EVENT_CHANGES = 20  # changes that an event lists; the state has them all

log = logging.getLogger(__name__)


class LiveRails:
    """Holds the rails that decide; `reload` is the only thing that changes them."""

    def __init__(
        self,
        path: Path,
        store: Store,
        secret_names: frozenset[str],
        private: Collection[Path] = (),
        facts: RuntimeFacts | None = None,
    ) -> None:
        self.path = path
        self.reload_requested = asyncio.Event()  # for whoever wants the file read now
        self.current: CompiledRails | None = None
        self._store = store
        self._secret_names = secret_names
        self._private = private
        self._facts = facts
        self._loaded_at: str | None = None
        self._error: RailsFault | None = None
        self._before: str | None = None
        self._changes: tuple[RailsChange, ...] = ()
        self._older: dict[str, CompiledRails] = {}
        self._reloading = asyncio.Lock()
        self._written_since: float | None = None

    async def reload(self) -> bool:
        """Read the file again; a file with a fault, or none, leaves the last good rails in force.

        Returns False for a file that somebody is writing: it is to be looked at again soon. Raises
        StorageUnavailable where the new rails could not be remembered; then the old ones stay in force.
        """
        text = ""
        async with self._reloading:
            try:
                text = await asyncio.to_thread(load.read_rails, self.path)
                self._written_since = None
                if self.current is None or self._error is not None or text != self.current.text:
                    await self._take(await asyncio.to_thread(self.parse, text))
            except BeingWritten as fault:
                self._written_since = self._written_since or time.monotonic()
                if time.monotonic() - self._written_since > PATIENCE_SECONDS:
                    await self._refuse(fault)
                return False
            except RailsError as fault:
                await self._refuse(fault, text)
            return True

    def parse(self, text: str) -> CompiledRails:
        """Return the rulebook of a text as it would be here; raises RailsError."""
        return self._parse(text, self._facts)

    async def at(self, revision: str) -> CompiledRails:
        """Return the rails of a revision that was in force once; raises LookupError where they are unreadable."""
        if self.current is not None and self.current.revision == revision:
            return self.current
        if revision not in self._older:
            async with self._store.reading() as db:
                text = await decisions.rails_text(db, revision)
            if text is None:
                raise LookupError(f"rails {revision}")
            try:
                self._keep(await asyncio.to_thread(self._parse, text, None))
            except RailsError as fault:
                raise LookupError(f"rails {revision}: {fault}") from fault
        return self._older[revision]

    def slots(self) -> ConcurrencyLimits:
        """Return how many jobs may run at the same time now, whatever rails they were decided under."""
        if self.current is None:
            return ConcurrencyLimits()
        limits = self.current.limits
        return ConcurrencyLimits(limits.total, limits.per_repo, day=limits.per_day)

    def state(self) -> RailsState:
        """Return what is in force, and what is wrong with the file."""
        rulebook = self.current
        return RailsState(
            revision=rulebook.revision if rulebook else None,
            loaded_at=self._loaded_at,
            mode=rulebook.mode if rulebook else None,
            path=self.path.name,
            text=rulebook.text if rulebook else None,
            warnings=rulebook.warnings if rulebook else (),
            error=self._error,
            before=self._before,
            changes=self._changes,
        )

    async def state_against(self, revision: str) -> RailsState:
        """Return what is in force and how it differs from another revision; raises LookupError where there is none."""
        if not REVISION.fullmatch(revision):
            raise LookupError(f"rails {revision!r}")
        before, state = await self.at(revision), self.state()
        differs = compare_rails(before.outline, self.current.outline) if self.current else ()
        return structs.replace(state, before=revision, changes=differs, before_text=before.text)

    def _parse(self, text: str, facts: RuntimeFacts | None) -> CompiledRails:
        name, secret_names, private = self.path.name, self._secret_names, self._private
        return load.parse_rails(text, name=name, secret_names=secret_names, private=private, facts=facts)

    async def _take(self, rulebook: CompiledRails) -> None:
        now, before = now_ms(), self.current
        await self._store.write(decisions.save_rails, rulebook.revision, rulebook.text, now)
        differs = compare_rails(before.outline, rulebook.outline) if before else ()
        payload = {
            "revision": rulebook.revision,
            "before": before.revision if before else None,
            "changes": msgspec.to_builtins(differs[:MAX_EVENT_CHANGES]),
            "changed": len(differs),
            "summary": summarize_changes(differs),
        }
        await self._store.write(add_event, "rails.reloaded", actor="stitcherd", now=now, payload=payload)
        if before is not None:
            self._keep(before)
            if before.revision != rulebook.revision:
                self._before, self._changes = before.revision, differs
        self.current, self._error, self._loaded_at = rulebook, None, format_timestamp(now)
        said = f": {payload['summary']}" if differs else ""
        log.info("rails %s are in force, mode %s%s", rulebook.revision, rulebook.mode, said)
        for warning in rulebook.warnings:
            log.warning("%s:%d:%d: %s", self.path.name, warning.line, warning.column, warning.message)

    async def _refuse(self, fault: RailsError, text: str = "") -> None:
        message = fault.message
        if isinstance(fault.__cause__, FileNotFoundError) and self.current is not None:
            message = f"the file is gone: {self.current.revision} stays in force until it is back"
        known = self._error
        if known is not None and (known.line, known.column, known.message) == (fault.line, fault.column, message):
            return
        now = now_ms()
        payload = {"line": fault.line, "column": fault.column, "message": message}
        await self._store.write(add_event, "rails.rejected", actor="stitcherd", now=now, payload=payload)
        source = next(islice(text.splitlines(), fault.line - 1, None), None)
        self._error = RailsFault(
            fault.line, fault.column, message, format_timestamp(now), UNSET if source is None else source
        )
        kept = f" ({self.current.revision} stays in force)" if self.current else " (no rails are in force)"
        log.error("%s:%d:%d: %s%s", self.path.name, fault.line, fault.column, message, kept)

    def _keep(self, rulebook: CompiledRails) -> None:
        self._older.pop(rulebook.revision, None)
        self._older[rulebook.revision] = rulebook
        while len(self._older) > MAX_COMPILED:
            del self._older[next(iter(self._older))]
