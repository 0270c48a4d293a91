"""The rails in force: the last good text of rails.yaml, what is wrong with the newest one, and older revisions."""

import logging
from pathlib import Path

from shared.ids import now_ms, stamp
from shared.models import RailsFault, RailsState
from stitcherd.rails import file
from stitcherd.rails.faults import RailsError
from stitcherd.rails.rulebook import Rulebook
from stitcherd.store import entries, reads
from stitcherd.store.events import add_event
from stitcherd.store.sqlite import Store

log = logging.getLogger(__name__)


class RailsInForce:
    """Holds the rails that decide; `reload` is the only thing that changes them."""

    def __init__(self, path: Path, store: Store, secret_names: frozenset[str]) -> None:
        self._path = path
        self._store = store
        self._secret_names = secret_names
        self._loaded_at: str | None = None
        self._error: RailsFault | None = None
        self._by_revision: dict[str, Rulebook] = {}
        self.current: Rulebook | None = None

    async def reload(self) -> None:
        """Read the file again; a file with a fault, or none, leaves the last good rails in force."""
        try:
            rulebook = file.load(self._path, secret_names=self._secret_names)
        except RailsError as fault:
            log.error("%s%s", fault, " (the rails before stay in force)" if self.current else "")  # noqa: TRY400 (the file's fault, not ours)
            self._error = RailsFault(fault.line, fault.column, fault.message, stamp(now_ms()))
            payload = {"line": fault.line, "column": fault.column, "message": fault.message}
            await self._store.write(add_event, "rails.rejected", actor="stitcherd", now=now_ms(), payload=payload)
            return
        now = now_ms()
        await self._store.write(entries.remember_rails, rulebook.revision, rulebook.text, now)
        payload = {"revision": rulebook.revision, "before": self.current.revision if self.current else None}
        await self._store.write(add_event, "rails.reloaded", actor="stitcherd", now=now, payload=payload)
        self.current, self._error, self._loaded_at = rulebook, None, stamp(now)
        self._by_revision[rulebook.revision] = rulebook
        log.info("rails %s are in force, mode %s", rulebook.revision, rulebook.mode)
        for warning in rulebook.warnings:
            log.warning("%s:%d:%d: %s", self._path.name, warning.line, warning.column, warning.message)

    async def at(self, revision: str) -> Rulebook:
        """Return the rails of a revision that was in force once; raises LookupError where they are unreadable."""
        if revision not in self._by_revision:
            async with self._store.reading() as db:
                text = await reads.rails_text(db, revision)
            if text is None:
                raise LookupError(f"rails {revision}")
            try:
                self._by_revision[revision] = file.parse(text, secret_names=self._secret_names)
            except RailsError as fault:
                raise LookupError(f"rails {revision}: {fault}") from fault
        return self._by_revision[revision]

    def state(self) -> RailsState:
        """Return what is in force, and what is wrong with the file."""
        rulebook = self.current
        return RailsState(
            revision=rulebook.revision if rulebook else None,
            loaded_at=self._loaded_at,
            mode=rulebook.mode if rulebook else None,
            path=self._path.name,
            text=rulebook.text if rulebook else None,
            warnings=rulebook.warnings if rulebook else (),
            error=self._error,
        )
