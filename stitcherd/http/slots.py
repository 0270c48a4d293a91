"""Bounds how many requests of a costly kind are answered at once, so that no caller takes what the others need."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from stitcherd.errors import Refusal

RETRY_SECONDS = 5


class Slots:
    """At most `each` requests of one token at once and `total` of all tokens; the operator has `total` more."""

    def __init__(self, noun: str, *, each: int, total: int) -> None:
        self._noun = noun
        self._each = each
        self._total = total
        self._taken: Counter[str] = Counter()  # by token
        self._operator = 0

    @contextmanager
    def take(self, token: str | None) -> Iterator[None]:
        """Occupy a slot for a token, or for the operator (None); raise Refusal if none is free for it."""
        if token is None:
            with self._take_as_operator():
                yield
            return
        if self._taken[token] >= self._each:
            raise self._refusal(f"{token} has {self._each} {self._noun} at once, which is the limit")
        if self._taken.total() >= self._total:
            raise self._refusal(f"there are {self._total} {self._noun} at once, which is the limit")
        self._taken[token] += 1
        try:
            yield
        finally:
            self._taken[token] -= 1

    @contextmanager
    def _take_as_operator(self) -> Iterator[None]:
        if self._operator >= self._total:
            raise self._refusal(f"the operator has {self._total} {self._noun} at once, which is the limit")
        self._operator += 1
        try:
            yield
        finally:
            self._operator -= 1

    def _refusal(self, reason: str) -> Refusal:
        return Refusal("throttled", reason, "end one of them, or try again later", retry_after=RETRY_SECONDS)
