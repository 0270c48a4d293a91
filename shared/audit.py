"""The audit chain: the hash of each event over the one before it, the export of all events, and its verification.

An export is JSON lines: an ExportHeader, then events, and ranges of events that retention has removed, in the order of
their ids. The line of an event is the text that is hashed, with the hash as its last field, so that any program can
verify it:

    hash = SHA-256(hash of the event before it, in hex, + its line without the field `,"hash":"…"`)
"""

import hashlib
from collections.abc import Iterable, Sequence

import msgspec
from msgspec import UNSET, Raw, UnsetType

from shared.models import WireStruct

EXPORT_FORMAT = 1
NO_HASH = bytes(32)  # stands for the hash before the first event of the chain
CHECKPOINT = "audit.checkpoint"  # type of the event that retention appends about the ranges that it has removed by then

_encoder = msgspec.json.Encoder()
event_text = _encoder.encode  # what is hashed of an AuditedEvent


class AuditedEvent(WireStruct, frozen=True, gc=False):
    """All that is stored of an event, as it is hashed; `payload` is the stored JSON, byte for byte."""

    id: int
    job_id: str | None
    step_id: str | None
    delivery_id: str | None
    workspace_id: str | None
    type: str
    actor: str
    timestamp: str
    payload: Raw


class ExportHeader(WireStruct, frozen=True):
    """The first line: the database, the last id that is older than the chain, and the newest id that was given."""

    format: int
    instance: str
    chained_after: int
    newest: int


class RemovedEvents(WireStruct, frozen=True):
    """A range of ids that retention has removed: the hash of the event before it, and that of its last event."""

    first: int
    last: int
    before: str
    hash: str


class Checkpoint(WireStruct, frozen=True):
    """The payload of a checkpoint: events from before a time were removed, and the digest of all ranges since then."""

    removed: int
    before: str
    ranges: int
    digest: str


class ChainFault(WireStruct, frozen=True):
    """What does not fit, and the id of the event, None where it is none of them."""

    event: int | None
    reason: str


class ChainReport(WireStruct, frozen=True):
    """What verification found: `events` follow from each other, the first is of the time `since`, the last is `newest`.

    `head` is the hash of the last one. `unchained` events are older than the chain; `removed` ones, in `ranges`, were
    removed by retention. `broken` is the first thing that does not fit, None if all does; the rest is then of what is
    before it. `head_found` says whether an event has the wanted hash, None where none was wanted.
    """

    events: int
    since: str | None
    newest: int
    head: str
    unchained: int
    removed: int
    ranges: int
    broken: ChainFault | None
    head_found: bool | None

    @property
    def intact(self) -> bool:
        """Whether nothing is broken, and the wanted hash was found."""
        return self.broken is None and self.head_found is not False


class NotAnExport(ValueError):
    """The text is not an export of events, or one of another format."""


class _Line(WireStruct, frozen=True):
    """What verification looks at of a line: a range, or an event."""

    id: int = 0
    type: str = ""
    timestamp: str = ""
    payload: Raw = Raw()
    hash: str | None = None
    removed: RemovedEvents | UnsetType = UNSET


class _DoesNotFit(Exception):
    def __init__(self, event: int | None, reason: str) -> None:
        self.fault = ChainFault(event, reason)


def chained_hash(before: bytes, text: bytes) -> bytes:
    """Return the hash of an event by its text and the hash of the event before it."""
    return hashlib.sha256(before.hex().encode() + text).digest()


def event_line(text: bytes, hash_: bytes | None) -> bytes:
    """Return the line of an event by its text; one that is older than the chain has no hash."""
    return text if hash_ is None else text[:-1] + _hash_field(hash_.hex())


def other_line(content: ExportHeader | RemovedEvents) -> bytes:
    """Return the line of the header, or of a range."""
    return _encoder.encode(content if isinstance(content, ExportHeader) else {"removed": content})


def ranges_digest(ranges: Sequence[RemovedEvents]) -> str:
    """Return the digest of all ranges, in the order of their ids."""
    return hashlib.sha256(_encoder.encode(ranges)).hexdigest()


def verify_export(lines: Iterable[bytes], wanted: str | None = None) -> ChainReport:
    """Verify the lines of an export; `wanted` is the hash, or its beginning, of an event that was there once.

    Raises NotAnExport, and what reading the lines raises.
    """
    remaining = iter(lines)
    chain = _Chain(_decode_header(next(remaining, b"")), wanted)
    broken = None
    try:
        for line in remaining:
            chain.take(line)
        chain.check_end()
    except _DoesNotFit as error:
        broken = error.fault
    return chain.report(broken)


class _Chain:
    """What was verified so far; `at` is the id up to which events are there or were removed by retention."""

    def __init__(self, header: ExportHeader, wanted: str | None) -> None:
        self._header = header
        self._wanted = wanted
        self._found = False
        self._decode = msgspec.json.Decoder(_Line).decode
        self._at = self._newest = header.chained_after
        self._head = self._hash = NO_HASH.hex()
        self._since: str | None = None
        self._events = self._unchained = 0
        self._ranges: list[RemovedEvents] = []
        self._digest: str | None = None  # of the ranges, as the newest checkpoint has it

    def take(self, line: bytes) -> None:
        """Verify the next line; raises _DoesNotFit."""
        try:
            found = self._decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise _DoesNotFit(None, f"what follows event {self._at} is not a line of an export") from error
        if found.removed is not UNSET:
            self._skip(found.removed)
        elif found.id <= self._header.chained_after:
            if found.hash is not None or found.id < 1:
                raise _DoesNotFit(found.id, "it was put in: no event before the chain has a hash, or an id below 1")
            self._unchained += 1
        else:
            self._follow(found, line)

    def check_end(self) -> None:
        """Verify that nothing is missing at the end, and the ranges; raises _DoesNotFit."""
        if self._at != self._header.newest:
            reason = f"events were removed from the end: the newest one that was ever written is {self._header.newest}"
            raise _DoesNotFit(self._at + 1, reason)
        if self._ranges and self._digest != ranges_digest(self._ranges):
            raise _DoesNotFit(None, "the ranges that retention has removed are not those of its newest checkpoint")

    def report(self, broken: ChainFault | None) -> ChainReport:
        """Return what was verified."""
        return ChainReport(
            events=self._events,
            since=self._since,
            newest=self._newest,
            head=self._head,
            unchained=self._unchained,
            removed=sum(each.last - each.first + 1 for each in self._ranges),
            ranges=len(self._ranges),
            broken=broken,
            head_found=None if self._wanted is None else self._found,
        )

    def _follow(self, found: _Line, line: bytes) -> None:
        self._check_place(found.id, found.id)
        if found.hash is None:
            raise _DoesNotFit(found.id, "it has no hash")
        end = _hash_field(found.hash)
        text = line.removesuffix(end) + b"}"  # without the suffix the hash differs
        if hashlib.sha256(self._hash.encode() + text).hexdigest() != found.hash:
            reason = "its content is not what its hash was made of, or it does not follow the last one"
            raise _DoesNotFit(found.id, reason)
        if found.type == CHECKPOINT:
            self._digest = _decode_checkpoint(found).digest
        self._at = self._newest = found.id
        self._meet(found.hash)
        self._head = found.hash
        self._events += 1
        self._since = self._since or found.timestamp

    def _skip(self, removed: RemovedEvents) -> None:
        self._check_place(removed.first, None)
        if removed.before != self._hash or removed.last < removed.first:
            reason = f"events {removed.first} to {removed.last}, removed by retention, did not follow event {self._at}"
            raise _DoesNotFit(self._at, reason)
        self._at = removed.last
        self._meet(removed.hash)
        self._ranges.append(removed)

    def _check_place(self, first: int, event: int | None) -> None:
        if first <= self._at:
            raise _DoesNotFit(event or first, f"it was put in between: event {self._at + 1} was to follow")
        if first > self._at + 1:
            raise _DoesNotFit(self._at + 1, "it is missing, and retention did not remove it")

    def _meet(self, hash_: str) -> None:
        self._hash = hash_
        if self._wanted is not None and hash_.startswith(self._wanted):
            self._found = True


def _hash_field(hash_: str) -> bytes:
    return b',"hash":"%s"}' % hash_.encode()


def _decode_checkpoint(found: _Line) -> Checkpoint:
    try:
        return msgspec.json.decode(found.payload, type=Checkpoint)
    except msgspec.DecodeError as error:
        raise _DoesNotFit(found.id, f"it is not a checkpoint of retention: {error}") from error


def _decode_header(line: bytes) -> ExportHeader:
    try:
        header = msgspec.json.decode(line, type=ExportHeader)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotAnExport("its first line is not that of an export of events") from error
    if header.format != EXPORT_FORMAT:
        raise NotAnExport(f"its format is {header.format}, this program knows {EXPORT_FORMAT}")
    return header
