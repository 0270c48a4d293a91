"""From the bytes of a body to typed fields, and to the bytes that may be stored."""

import re
from typing import TypeVar
from urllib.parse import quote_plus, unquote_to_bytes

import msgspec

from stitcherd.sources.base import NotJson, WrongShape

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"

_FIELD = b"payload="
_SECRET_KEYS = (b"secret", b"client_secret", b"webhook_secret", b"token", b"access_token", b"password")
_SECRET_WORDS = (b"secret", b"token", b"password")  # one of them is in each key; most bodies have none
_SECRET_VALUES = re.compile(
    rb'("(?:' + b"|".join(_SECRET_KEYS) + rb')"\s*+:\s*+)(?:"(?:[^"\\]|\\.)++"|-?[0-9][0-9.eE+-]*+)', re.DOTALL
)
_MASK = rb'\1"***"'

Fields = TypeVar("Fields")


def decode_body(fields: msgspec.json.Decoder[Fields], body: bytes, *, form: bool) -> Fields:
    """Return the fields wanted of a JSON body, or of the JSON in the `payload` field of a form.

    Raises NotJson and WrongShape, and nothing else whatever the bytes.
    """
    text = payload_of_form(body) if form else body
    try:
        str(text, "utf-8")  # what the decoder skips it does not look into
        return fields.decode(text)
    except msgspec.ValidationError as wrong:
        raise WrongShape(_format_error(str(wrong))) from None
    except UnicodeDecodeError as broken:
        raise NotJson(f"the body is not UTF-8 (byte {broken.start})") from None
    except msgspec.DecodeError as broken:
        raise NotJson(f"the body is not JSON: {_uncapitalize(str(broken))}") from None
    except RecursionError:
        raise NotJson("the body is not JSON that can be read: it is nested too deeply") from None


def payload_of_form(form: bytes) -> bytes:
    """Return the JSON that a form holds in its one field `payload`; raises WrongShape."""
    found = [field for field in form.split(b"&") if field.startswith(_FIELD)]
    if len(found) != 1:
        raise WrongShape(f"payload: expected once in the form, found {len(found)} times")
    return _unquote(found[0])


def encode_form(payload: bytes) -> bytes:
    """Return the form that holds nothing but `payload`, in the one way in which Go's `url.Values` writes it."""
    return _FIELD + quote_plus(payload).encode()


def scrub(body: bytes) -> bytes:
    """Return the body with the values of keys that name a secret masked, all else to the byte as it was.

    Old versions of Gitea put the hook's own secret into every body.
    """
    if not any(word in body for word in _SECRET_WORDS):
        return body
    if not body.lstrip().startswith(b"{"):
        return b"&".join(map(_mask_field, body.split(b"&")))
    return _SECRET_VALUES.sub(_MASK, body)


def _unquote(field: bytes) -> bytes:
    return unquote_to_bytes(field.removeprefix(_FIELD).replace(b"+", b" "))


def _mask_field(field: bytes) -> bytes:
    if not field.startswith(_FIELD):
        return field
    masked, times = _SECRET_VALUES.subn(_MASK, _unquote(field))
    return encode_form(masked) if times else field


def _format_error(message: str) -> str:
    what, _, where = message.partition(" - at `")
    return f"{where.rstrip('`') or '$'}: {_uncapitalize(what)}"


def _uncapitalize(message: str) -> str:
    return message if message.startswith("JSON") else message[:1].lower() + message[1:]
