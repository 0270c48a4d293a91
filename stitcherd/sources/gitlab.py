"""Webhooks of GitLab, with a plain token or signed by Standard Webhooks."""

import hmac
import re
from collections.abc import Mapping, Sequence

from msgspec.json import Decoder
from msgspec.structs import replace

from stitcherd.sources import standard_signature
from stitcherd.sources.body import JSON, decode, scrub
from stitcherd.sources.gitlab_body import Attributes, Body, Envelope
from stitcherd.sources.gitlab_names import name_of
from stitcherd.sources.gitlab_topic import told
from stitcherd.sources.headers import id_from
from stitcherd.sources.names import account_of
from stitcherd.sources.source import BadSignature, Source, WrongShape
from stitcherd.trigger import Trigger

TOKEN = "X-Gitlab-Token"  # noqa: S105 (a header's name)
CONFIDENTIAL = "confidential: none of its text may reach an agent"

# An event, and the fields of its body that it cannot be without.
_NEEDS: Mapping[str, tuple[str, ...]] = {
    "issue": ("object_attributes",),
    "merge_request": ("object_attributes",),
    "note": ("object_attributes",),
    "pipeline": ("object_attributes",),
    "build": (),
    "push": (),
    "tag_push": (),
}
_HOOK = re.compile(r"[A-Za-z][A-Za-z ]{0,99}")
_BODY = Decoder(Body)
_ENVELOPE = Decoder(Envelope)


def verify(headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes], now: int = 0, /) -> int:
    """Return which secret matched, from 1; see `Verify`. Where there is a signature, the token counts for nothing."""
    if standard_signature.SIGNATURE in headers:
        return standard_signature.verify(headers, body, secrets, now)
    if TOKEN not in headers:
        raise BadSignature(f"{TOKEN} is missing")
    try:
        claim = headers[TOKEN].encode(errors="surrogateescape")  # the bytes as they came: a token need not be ASCII
    except UnicodeEncodeError:
        claim = b""
    for number, secret in enumerate(secrets, start=1):
        if secret and hmac.compare_digest(claim, secret):
            return number
    raise BadSignature(f"{TOKEN} matches no secret")


def parse(headers: Mapping[str, str], body: bytes, /, *, source: str, bot: str | None, form: bool = False) -> Trigger:
    """Return what a delivery of GitLab says; see `Parse`. Of a confidential one, no more than whence it came."""
    hook = headers.get("X-Gitlab-Event", "")
    if not _HOOK.fullmatch(hook):
        raise WrongShape("X-Gitlab-Event: expected the name of an event")
    envelope = decode(_ENVELOPE, body, form=form)
    sender = envelope.user.username if envelope.user else envelope.user_username
    trigger = Trigger(
        source=source,
        event=envelope.object_kind,
        sender=account_of(source, sender),
        repository=envelope.project.path_with_namespace if envelope.project else None,
    )
    needs = _NEEDS.get(envelope.object_kind)
    if needs is None:
        return replace(trigger, refused=CONFIDENTIAL) if _is_confidential(hook, envelope) else trigger
    seen = decode(_BODY, body, form=form)
    for field in needs:
        if getattr(seen, field) is None:
            raise WrongShape(f"$.{field}: missing")
    attributes = seen.object_attributes or Attributes()
    trigger = replace(trigger, action=attributes.action)
    marks = (attributes.confidential, attributes.internal, seen.issue and seen.issue.confidential)
    if any(marks) or _is_confidential(hook, envelope):
        return replace(trigger, refused=CONFIDENTIAL)
    return told(replace(trigger, name=name_of(seen, attributes)), seen, attributes, bot)


def _is_confidential(hook: str, envelope: Envelope) -> bool:
    """Say whether an event is called confidential; old versions say so in the header alone."""
    return any(word.lower().startswith("confidential") for word in (hook, envelope.event_type or ""))


SOURCE = Source(
    kind="gitlab",
    verify=verify,
    parse=parse,
    external_id=id_from("Idempotency-Key", standard_signature.ID),
    scrub=scrub,
    id_is_signed=False,
    body_window=None,
    kept_headers=(
        "Content-Type",
        "User-Agent",
        "Idempotency-Key",
        "X-Gitlab-Event",
        "X-Gitlab-Event-UUID",
        "X-Gitlab-Instance",
        "X-Gitlab-Webhook-UUID",
        standard_signature.ID,
        standard_signature.TIMESTAMP,
    ),
    content_types=frozenset({JSON}),
)
