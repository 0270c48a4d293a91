"""Decoding of webhook bodies, JSON or form, and masking of the secrets in them."""

import re
from typing import TypeVar
from urllib.parse import quote_plus, unquote_to_bytes

import msgspec

from stitcherd.sources.base import NotJson, WrongShape

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"

_FORM_FIELD = b"payload="
_SECRET_KEYS = (b"secret", b"client_secret", b"webhook_secret", b"token", b"access_token", b"password")
_SECRET_WORDS = (b"secret", b"token", b"password")  # each key contains one of them; most bodies have none
_SECRET_VALUES = re.compile(
    rb'("(?:' + b"|".join(_SECRET_KEYS) + rb')"\s*+:\s*+)(?:"(?:[^"\\]|\\.)++"|-?[0-9][0-9.eE+-]*+)', re.DOTALL
)
_MASK = rb'\1"***"'

Payload = TypeVar("Payload")


def decode_body(decoder: msgspec.json.Decoder[Payload], body: bytes, *, form: bool) -> Payload:
    """Decode a JSON body, or the JSON in the `payload` field of a form.

    Raises NotJson or WrongShape, and nothing else, for any bytes.
    """
    text = read_form_payload(body) if form else body
    try:
        str(text, "utf-8")  # the decoder does not validate what it skips
        return decoder.decode(text)
    except msgspec.ValidationError as error:
        raise WrongShape(_format_error(str(error))) from None
    except UnicodeDecodeError as error:
        raise NotJson(f"the body is not UTF-8 (byte {error.start})") from None
    except msgspec.DecodeError as error:
        raise NotJson(f"the body is not JSON: {_uncapitalize(str(error))}") from None
    except RecursionError:
        raise NotJson("the body is not JSON that can be decoded: it is nested too deeply") from None


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


def _format_error(message: str) -> str:
    what, _, where = message.partition(" - at `")
    return f"{where.rstrip('`') or '$'}: {_uncapitalize(what)}"


def _uncapitalize(message: str) -> str:
    return message if message.startswith("JSON") else message[:1].lower() + message[1:]
