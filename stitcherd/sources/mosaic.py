"""The home-made webhook of Mosaic: a small JSON body of its own, signed with HMAC-SHA256."""

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta, Struct
from msgspec.json import Decoder

from shared.models import Thread
from stitcherd.sources.base import Source, WrongShape
from stitcherd.sources.payload import JSON, decode_body, scrub
from stitcherd.sources.signatures import (
    STANDARD_ID,
    STANDARD_TIMESTAMP,
    delivery_id_reader,
    hmac_verifier,
    verify_standard,
)
from stitcherd.sources.text import Account, RepositoryName, ThreadNumber, is_bot, parse_commands, safe_url
from stitcherd.sources.trigger import Quote, Trigger

# merged from stitcherd.sources.standard: Any sender that speaks Standard Webhooks: the body of Mosaic, signed
# together with its id and the time.

MOSAIC_EVENT = "mosaic"
REPEAT_WINDOW_MS = 600_000  # a person may well say the same again after ten minutes

_EVENT_NAMES: Mapping[str, str] = {
    "assigned": "issue.assigned",
    "mentioned": "issue.comment",
    "commented": "issue.comment",
}


class MosaicMetadata(Struct, frozen=True):
    """What may be known besides; a wrong label or author is refused, for rails decide by them."""

    labels: tuple[str, ...] | None = None
    author: Account | None = None
    title: object = None
    url: object = None


class MosaicPayload(Struct, frozen=True, rename="camel"):
    """The body, field by field as its senders document it."""

    issue_number: Annotated[str, Meta(pattern=r"\A[0-9]{1,19}\Z")] | ThreadNumber
    repository: RepositoryName
    action: str
    comment: str | None = None
    metadata: MosaicMetadata | None = None


_BODY = Decoder(MosaicPayload)
_NO_METADATA = MosaicMetadata()


def parse(_headers: Mapping[str, str], body: bytes, /, *, source: str, bot: str | None, form: bool = False) -> Trigger:
    """Return what a Mosaic body says; see `Parse`."""
    seen = decode_body(_BODY, body, form=form)
    number = int(seen.issue_number)
    if not 0 < number < 2**63:
        raise WrongShape("$.issueNumber: expected a number from 1 to 9223372036854775807")
    about = seen.metadata or _NO_METADATA
    author = _account(source, about.author)
    name = _EVENT_NAMES.get(seen.action)
    own = name is not None and about.author is not None and is_bot(author, bot)
    title = about.title if isinstance(about.title, str) else ""
    comment = seen.comment or ""
    return Trigger(
        source=source,
        event=MOSAIC_EVENT,
        action=seen.action,
        name=name,
        refused=f"written by {bot} itself" if own else None,
        sender=author,
        by_source=about.author is None,
        author=author,
        repository=seen.repository,
        thread=Thread(kind="issue", number=number, title=title, url=safe_url(about.url), author=author),
        labels=about.labels or (),
        assignees=(f"{source}:{bot}",) if name == "issue.assigned" and bot else (),
        commands=parse_commands(comment, bot) if name == "issue.comment" else (),
        quotes=tuple(Quote(author, kind, text) for kind, text in (("title", title), ("comment", comment)) if text),
    )


def _account(source: str, author: str | None) -> str:
    if author is None:
        return source  # whoever holds the source's secret
    return author if ":" in author else f"{source}:{author}"


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

STANDARD = Source(
    kind="standard",
    verify=verify_standard,
    parse=parse,
    external_id=delivery_id_reader(STANDARD_ID),
    scrub=scrub,
    id_is_signed=True,
    body_window=REPEAT_WINDOW_MS,
    kept_headers=("Content-Type", "User-Agent", STANDARD_ID, STANDARD_TIMESTAMP),
    content_types=frozenset({JSON}),
)
