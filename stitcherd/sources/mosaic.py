"""Webhooks of Mosaic: a small JSON body, signed with HMAC-SHA256."""

from collections.abc import Mapping

from msgspec import Struct
from msgspec.json import Decoder

from shared.models import Thread
from stitcherd.sources.base import MISSING, Source, merge_faults, require_readable
from stitcherd.sources.fields import Account, Digits, RepositoryName, ThreadNumber, action_text
from stitcherd.sources.hidden_text import TITLE, quote_texts
from stitcherd.sources.payload import BODY, JSON, decode_body, scrub
from stitcherd.sources.signatures import delivery_id_reader, hmac_verifier
from stitcherd.sources.text import is_bot, parse_commands, safe_url
from stitcherd.sources.trigger import Trigger

EVENT = "mosaic"
REPEAT_WINDOW_MS = 600_000  # later, a person may well write the same comment again

_EVENT_NAMES: Mapping[str, str] = {
    "assigned": "issue.assigned",
    "mentioned": "issue.comment",
    "commented": "issue.comment",
}


class MosaicMetadata(Struct, frozen=True):
    """Optional details; a malformed label or author is refused, because rails decide by them."""

    labels: tuple[str, ...] | None = None
    author: Account | None = None
    title: object = None
    url: object = None


class MosaicPayload(Struct, frozen=True, rename="camel"):
    """The body of a Mosaic webhook."""

    issue_number: Digits | ThreadNumber | None = None
    repository: RepositoryName | None = None
    action: str | None = None
    comment: str | None = None
    metadata: MosaicMetadata | None = None


_AUTHOR_FIELDS = frozenset({BODY, "$.metadata", "$.metadata.author"})
_payload_decoder = Decoder(MosaicPayload)
_NO_METADATA = MosaicMetadata()


def parse(_headers: Mapping[str, str], body: bytes, /, *, source: str, bot: str | None, form: bool = False) -> Trigger:
    """Return the trigger of a Mosaic delivery; see `Parse`."""
    decoded = decode_body(_payload_decoder, body, form=form)
    payload = decoded.payload
    needed = {"issueNumber": payload.issue_number, "repository": payload.repository, "action": payload.action}
    missing = {f"$.{field}": MISSING for field, value in needed.items() if value is None}
    number = int(payload.issue_number or 0)
    if not 0 < number < 2**63:
        missing.setdefault("$.issueNumber", "expected a number from 1 to 9223372036854775807")
    faults = merge_faults(decoded.faults, missing)
    metadata = payload.metadata or _NO_METADATA
    by_source = metadata.author is None and _AUTHOR_FIELDS.isdisjoint(faults)
    author = source if by_source else _account(source, metadata.author)
    name = _EVENT_NAMES.get(payload.action or "")
    own = name is not None and metadata.author is not None and is_bot(author, bot)
    title = metadata.title if isinstance(metadata.title, str) else None
    comment = payload.comment or ""
    texts = quote_texts(((author, TITLE, title), (author, "comment", comment)))
    thread = Thread(kind="issue", number=number, title=texts.title, url=safe_url(metadata.url), author=author)
    trigger = Trigger(
        source=source,
        event=EVENT,
        action=action_text(payload.action),
        name=name,
        unusable=f"written by {bot} itself" if own else None,
        sender=author,
        by_source=by_source,
        author=author,
        repository=payload.repository,
        thread=None if "$.issueNumber" in faults else thread,
        labels=metadata.labels or (),
        assignees=(f"{source}:{bot}",) if name == "issue.assigned" and bot else (),
        commands=parse_commands(comment, bot) if name == "issue.comment" else (),
        quotes=texts.quotes,
        hidden=texts.hidden,
    )
    return require_readable(trigger, faults, _EVENT_NAMES.values() if payload.action is None else ())


def _account(source: str, author: str | None) -> str | None:
    """Return an account; a login without a source is one of this source."""
    return author if author is None or ":" in author else f"{source}:{author}"


SOURCE = Source(
    kind="mosaic",
    verify=hmac_verifier("X-Mosaic-Signature", prefix="sha256="),
    parse=parse,
    external_id=delivery_id_reader("X-Mosaic-Delivery"),
    scrub=scrub,
    id_is_signed=False,
    body_window=REPEAT_WINDOW_MS,
    kept_headers=("Content-Type", "User-Agent", "X-Mosaic-Delivery"),
    content_types=frozenset({JSON}),
)
