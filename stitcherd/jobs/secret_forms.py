"""The forms in which a secret may appear in a text: as it is, and in the usual encodings."""

import base64
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import quote, quote_plus

from msgspec import Struct

ENCODED_MIN = 6  # characters of a secret whose encodings are known; those of a shorter one are found in ordinary text
WRAPPED_MIN = 8  # characters of an encoding that is also found over several lines
# Between two characters of a wrapped encoding: a line break, and an indentation, the mark of a quotation or of a diff.
BREAK = rb"\r?\n[ \t+>-]{0,8}"
BREAK_MAX = 10
BREAK_CHARACTERS = b"\r\n \t+>-"


class SecretForm(Struct, frozen=True):
    """One form of a secret; `joined` is what is searched for where line breaks are left out, None if it is not wrapped.

    Of the first three characters of a wrapped text two stand side by side, and the very first need not be there:
    otherwise the end of every other line could be the beginning of a secret. `joined` goes without the first.
    """

    text: bytes
    joined: bytes | None = None

    @property
    def pattern(self) -> bytes:
        """The regular expression for all that this form looks like."""
        if self.joined is None:
            return re.escape(self.text)
        first, second, third, *others = (re.escape(bytes([byte])) for byte in self.text)
        beginning = b"(?:%s%s(?:%s)?|%s)%s" % (first, second, BREAK, second, third)
        return beginning + b"".join(b"(?:%s)?%s" % (BREAK, each) for each in others)


def secret_forms(secret: bytes) -> Iterator[SecretForm]:
    """Yield the forms of a secret, some of them more than once."""
    if not secret:
        return
    yield SecretForm(secret)
    if b"\n" in secret:  # in a diff, each of its lines has a mark
        yield _wrapped_form(re.sub(rb"\r?\n[ \t]*", b"", secret))
    if len(secret) < ENCODED_MIN:
        return
    for text in {*_json_forms(secret), *_url_forms(secret)}:
        yield SecretForm(text)
    for text in {secret.hex().encode(), secret.hex().upper().encode(), *_base64_forms(secret)}:
        yield _wrapped_form(text)


def _json_forms(secret: bytes) -> Iterator[bytes]:
    with suppress(UnicodeDecodeError):
        text = secret.decode()
        for form in (json.dumps(text), json.dumps(text, ensure_ascii=False)):
            yield form[1:-1].encode()
            yield form[1:-1].replace("/", "\\/").encode()


def _url_forms(secret: bytes) -> Iterator[bytes]:
    # As Python, JavaScript and forms quote; a lower-case form is as valid.
    for form in (quote(secret, safe=""), quote(secret), quote(secret, safe="!'()*"), quote_plus(secret)):
        yield form.encode()
        yield re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), form).encode()


def _base64_forms(secret: bytes) -> Iterator[bytes]:
    """Yield what is the same of base64 whatever stands before and after the secret, for each of its three positions."""
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + secret)
        form = encoded[-(-before * 8 // 6) : (before + len(secret)) * 8 // 6]
        yield form
        yield form.translate(bytes.maketrans(b"+/", b"-_"))


def _wrapped_form(text: bytes) -> SecretForm:
    start, end = 0, len(text.rstrip(BREAK_CHARACTERS))
    while start < end and set(text[start : start + 3]) & set(BREAK_CHARACTERS):
        start += 1
    if end - start < WRAPPED_MIN:
        return SecretForm(text)
    return SecretForm(text[start:end], text[start + 1 : end].translate(None, BREAK_CHARACTERS))
