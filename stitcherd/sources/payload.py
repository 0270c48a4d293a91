"""Decoding of webhook bodies, JSON or form, and masking of the secrets in them."""

import re
from typing import Generic, TypeVar
from urllib.parse import quote_plus, unquote_to_bytes

import msgspec
from msgspec import Struct

from stitcherd.sources.base import NotJson, WrongShape
from stitcherd.sources.fields import FORMS

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
BODY = "$"  # the field that is the whole body

_FORM_FIELD = b"payload="
_SECRET_KEYS = (b"secret", b"client_secret", b"webhook_secret", b"token", b"access_token", b"password")
_SECRET_WORDS = (b"secret", b"token", b"password")  # each key contains one of them; most bodies have none
_SECRET_VALUES = re.compile(
    rb'("(?:' + b"|".join(_SECRET_KEYS) + rb')"\s*+:\s*+)(?:"(?:[^"\\]|\\.)++"|-?[0-9][0-9.eE+-]*+)', re.DOTALL
)
_MASK = rb'\1"***"'

_FAULTS_MAX = 16  # fields that are removed one by one; then each goes with all that is beside it, so that it ends soon
_fields_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])

Payload = TypeVar("Payload")


class Decoded(Struct, Generic[Payload], frozen=True):
    """What could be read of a body, and by field (`$.issue.number`) what is wrong with the others."""

    payload: Payload
    faults: dict[str, str]


def decode_body(decoder: msgspec.json.Decoder[Payload], body: bytes, *, form: bool) -> Decoded[Payload]:
    """Decode a JSON body, or the JSON in the `payload` field of a form.

    A field of the wrong form is left out, and described in the faults: all fields of `Payload` must be optional.
    Raises NotJson, and nothing else, for any bytes.
    """
    try:
        text = read_form_payload(body) if form else body
    except WrongShape as error:
        return Decoded(decoder.decode(b"{}"), {BODY: str(error)})
    try:
        str(text, "utf-8")  # the decoder does not validate what it skips
        return _decode_readable(decoder, text)
    except UnicodeDecodeError as error:
        raise NotJson(f"the body is not UTF-8 (byte {error.start})") from None
    except msgspec.DecodeError as error:
        raise NotJson(f"the body is not JSON: {_uncapitalize(str(error))}") from None
    except RecursionError:
        raise NotJson("the body is not JSON that can be decoded: it is nested too deeply") from None


def _decode_readable(decoder: msgspec.json.Decoder[Payload], text: bytes) -> Decoded[Payload]:
    """Decode JSON without its malformed fields; each round removes one. Raises DecodeError."""
    faults: dict[str, str] = {}
    while True:
        try:
            return Decoded(decoder.decode(text), faults)
        except msgspec.ValidationError as error:
            what, _, where = str(error).partition(" - at `")
            field = where.rstrip("`") or BODY
            faults[field] = _describe_fault(what)
        names = field.partition("[")[0].split(".")[1:]  # a list goes with its malformed element
        text = _without(text, names if len(faults) <= _FAULTS_MAX else names[:1]) if names else _without_all(text)


def _without(text: bytes, names: list[str]) -> bytes:
    """Return an object in JSON without the field at a path of names.

    Of fields with the same name the last one counts: it need not be the malformed one, nor an object.
    """
    first, *rest = names
    fields = _fields_decoder.decode(text)
    value = fields.pop(first, None)
    if rest and value is not None and bytes(value).lstrip().startswith(b"{"):
        fields[first] = msgspec.Raw(_without(bytes(value), rest))
    return msgspec.json.encode(fields)


def _without_all(text: bytes) -> bytes:
    msgspec.json.decode(text, type=msgspec.Raw)  # raises unless it is JSON
    return b"{}"


def read_form_payload(form: bytes) -> bytes:
    """Return the JSON in the `payload` field of a form; raise WrongShape unless there is exactly one."""
    found = [field for field in form.split(b"&") if field.startswith(_FORM_FIELD)]
    if len(found) != 1:
        raise WrongShape(f"payload: expected once in the form, found {len(found)} times")
    return _unquote(found[0])


def encode_form(payload: bytes) -> bytes:
    """Return a form with `payload` as its only field, encoded as Go's `url.Values` does."""
    return _FORM_FIELD + quote_plus(payload).encode()


def scrub(body: bytes) -> bytes:
    """Return the body with the values of secret keys masked and every other byte unchanged.

    Old versions of Gitea put the webhook's secret into every body.
    """
    if not any(word in body for word in _SECRET_WORDS):
        return body
    if not body.lstrip().startswith(b"{"):
        return b"&".join(map(_mask_field, body.split(b"&")))
    return _SECRET_VALUES.sub(_MASK, body)


def _unquote(field: bytes) -> bytes:
    return unquote_to_bytes(field.removeprefix(_FORM_FIELD).replace(b"+", b" "))


def _mask_field(field: bytes) -> bytes:
    if not field.startswith(_FORM_FIELD):
        return field
    masked, count = _SECRET_VALUES.subn(_MASK, _unquote(field))
    return encode_form(masked) if count else field


def _describe_fault(message: str) -> str:
    """Return what the decoder says of a field, with the words for a pattern in place of the pattern."""
    wanted, found, pattern = message.partition(" matching regex ")
    if found:
        return f"expected {next(words for form, words in FORMS.items() if repr(form) == pattern)}"
    return _uncapitalize(wanted)


def _uncapitalize(message: str) -> str:
    return message if message.startswith("JSON") else message[:1].lower() + message[1:]
