"""Performs calls with the pace and within the limits of one credential; what it returns is an outcome."""

import asyncio
import random
from collections.abc import Callable
from typing import TypeVar

from shared.ids import now_ms
from stitcherd.forges.base import Call, RequestFailed, Response
from stitcherd.forges.client import ForgeClient
from stitcherd.forges.outcome import Done, Hold, Outcome, Rejected, outcome_of
from stitcherd.forges.rate_limit import RequestLimit, exceeded_limit

Value = TypeVar("Value")


class PacedClient:
    """A client for one credential: one write at a time, and nothing while a limit lasts; `now` is in milliseconds."""

    def __init__(self, client: ForgeClient, now: Callable[[], int] = now_ms) -> None:
        self.client = client
        self._now = now
        self._limit = RequestLimit()
        self._writing = asyncio.Lock()

    async def perform(self, call: Call[Value], token: str | None, tries: int = 1) -> Outcome[Value]:
        """Send a call and return what became of it, also if it is there already.

        `tries` is the number of tries so far, with this one. Raises AccountChanged and InvalidReference.
        """
        if call.request.writes:
            async with self._writing:
                result = await self._send(call, token)
        else:
            result = await self._send(call, token)
        if isinstance(result, Hold):
            return result
        outcome = outcome_of(
            self.client.forge,
            call,
            result,
            self._limit,
            self._now(),
            tries,
            random.uniform(-1, 1),  # noqa: S311 (a delay)
        )
        if call.existing is None or not _may_exist(call, result):
            return outcome
        found = await self.perform(call.existing, token, tries)
        if isinstance(found, Done):
            return outcome if found.value is None else Done(found.value)
        return outcome if isinstance(found, Rejected) else found

    async def _send(self, call: Call[Value], token: str | None) -> Response | RequestFailed | Hold:
        now = self._now()
        while (ready := self._limit.ready_at(call.request, now)) > now:
            if self._limit.held_until > now:  # also when a limit was exceeded while this request waited
                return Hold(self._limit.held_until, self._limit.reason, "rate_limit")
            await asyncio.sleep((ready - now) / 1000)
            now = self._now()
        self._limit = self._limit.sent(call.request, now)
        try:
            response = await self.client.send(call.request, token)
        except RequestFailed as failure:
            return failure
        self._limit = self._limit.received(call.request, response, self._now())
        return response


def _may_exist(call: Call[Value], result: Response | RequestFailed) -> bool:
    return isinstance(result, Response) and result.status in call.exists_with and not exceeded_limit(result)
