"""Masks secret values in the output of agents, gates and git, before it is stored or shown; and finds them."""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from stitcherd.jobs.secret_forms import BREAK_CHARACTERS, BREAK_MAX, SecretForm, secret_forms

REDACTION_MASK = b"[secret]"


class Redaction:
    """The secret values to mask in the output of a job, as they are and in the usual encodings.

    `minted` returns those that came up since the start of the daemon; what it ever returned stays masked.
    """

    def __init__(self, secrets: Iterable[bytes], minted: Callable[[], frozenset[bytes]] = frozenset) -> None:
        self._minted = minted
        self._secrets = frozenset(secrets) | minted()
        self._find_forms()

    def _learn(self) -> None:
        minted = self._minted()
        if not minted <= self._secrets:
            self._secrets |= minted
            self._find_forms()

    def _find_forms(self) -> None:
        self._forms = _forms_of(self._secrets)
        self._patterns: dict[tuple[bytes, ...], re.Pattern[bytes]] = {}
        # The longest text, with a line break between any two characters: more cannot belong to one secret.
        self.longest = len(self._forms[0].text) * (BREAK_MAX + 1) if self._forms else 0

    def mask(self, data: bytes) -> bytes:
        """Return the data with every secret masked."""
        self._learn()
        pattern = self._pattern_for(data)
        return data if pattern is None else pattern.sub(REDACTION_MASK, data)

    def mask_text(self, text: str) -> str:
        """Return the text with every secret masked, and with `?` for what UTF-8 cannot encode."""
        return self.mask(text.encode("utf-8", "replace")).decode("utf-8", "replace")

    def mask_payload(self, value: Any) -> Any:
        """Return JSON data with every secret in its strings masked."""
        match value:
            case str():
                return self.mask_text(value)
            case dict():
                return {self.mask_text(key): self.mask_payload(inner) for key, inner in value.items()}
            case list() | tuple():
                return [self.mask_payload(inner) for inner in value]
        return value

    def mask_complete(self, data: bytes) -> tuple[bytes, bytes]:
        """Return (masked data that no later bytes can change, the held-back rest).

        However output is cut into pieces, the masked pieces together equal the whole output masked.
        """
        self._learn()
        end = len(data) - self._beginning_at_end(data)
        masked, position = [], 0
        pattern = self._pattern_for(data)
        for found in pattern.finditer(data) if pattern else ():
            if found.start() >= end:  # it may be the beginning of a longer secret
                break
            masked += [data[position : found.start()], REDACTION_MASK]
            position = found.end()
        end = max(end, position)
        return b"".join([*masked, data[position:end]]), data[end:]

    def occurs_in(self, pieces: Iterable[bytes]) -> bool:
        """Return whether a secret is in data that comes in pieces."""
        self._learn()
        kept = b""
        for piece in pieces if self._forms else ():
            data = kept + piece
            pattern = self._pattern_for(data)
            if pattern is not None and pattern.search(data):
                return True
            kept = data[-self.longest :]
        return False

    def _pattern_for(self, data: bytes) -> re.Pattern[bytes] | None:
        """Return a pattern for the forms that can be in the data, None if there is none of them.

        To look for each form in turn is several times as fast as to search for a pattern of all.
        """
        if not self._forms:
            return None
        joined = data.translate(None, BREAK_CHARACTERS)
        found = [form for form in self._forms if (form.text in data if form.joined is None else form.joined in joined)]
        if not found:
            return None
        key = tuple(form.text for form in found)
        if key not in self._patterns:
            self._patterns[key] = re.compile(b"|".join(form.pattern for form in found))
        return self._patterns[key]

    def _beginning_at_end(self, data: bytes) -> int:
        """Return how many bytes at the end may be the beginning of a secret."""
        end = data[-self.longest :] if self._forms else b""
        joined = end.translate(None, BREAK_CHARACTERS)
        return max((_beginning(form, end, joined) for form in self._forms), default=0)


@lru_cache(maxsize=16)
def _forms_of(secrets: frozenset[bytes]) -> tuple[SecretForm, ...]:
    """Return the forms of secrets, the longest first; most jobs have the same secrets."""
    forms = {form.text: form for secret in secrets for form in secret_forms(secret)}
    return tuple(sorted(forms.values(), key=lambda form: len(form.text), reverse=True))


class RedactedStream:
    """One stream of output, masked as it arrives, also where a secret is cut in two."""

    def __init__(self, redaction: Redaction) -> None:
        self._redaction = redaction
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """Add a piece of output and return what can be shown now."""
        masked, self._rest = self._redaction.mask_complete(self._rest + data)
        return masked

    def end(self) -> bytes:
        """Return the held-back rest."""
        rest, self._rest = self._rest, b""
        return self._redaction.mask(rest)


def _beginning(form: SecretForm, data: bytes, joined: bytes) -> int:
    """Return how many bytes at the end of the data may be the beginning of a form; `joined` is without line breaks."""
    if form.joined is None:
        return _longest_beginning(form.text, data)
    first, pair = form.text[:1], form.text[1:3]
    length = _longest_beginning(form.joined, joined)
    while length:
        start = _position_of_last(length, data)
        if len(data) - start < len(form.text) * (BREAK_MAX + 1):
            if data.endswith(first, 0, start):
                return len(data) - start + 1
            if data.startswith(pair, start) or start == len(data) - 1:
                return len(data) - start
        length = _longest_beginning(form.joined[:length], joined)
    return int(data.endswith(first))


def _longest_beginning(text: bytes, data: bytes) -> int:
    """Return the length of the longest end of the data that is the beginning of a longer text; 0 if there is none."""
    end = data[max(0, len(data) - len(text) + 1) :]
    at = end.find(text[:1])
    while at >= 0:
        if text.startswith(end[at:]):
            return len(end) - at
        at = end.find(text[:1], at + 1)
    return 0


def _position_of_last(count: int, data: bytes) -> int:
    """Return the position in the data from which on it has `count` bytes that are no part of a line break."""
    position = len(data)
    while count:
        position -= 1
        count -= data[position] not in BREAK_CHARACTERS
    return position
