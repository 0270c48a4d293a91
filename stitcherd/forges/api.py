"""One forge as the rest of the daemon sees it: what is wanted goes in as a call, and an outcome comes back."""

from collections.abc import Callable
from typing import TypeVar

from shared.ids import now_ms
from stitcherd.forges.base import Call, Request
from stitcherd.forges.client import ForgeClient
from stitcherd.forges.credentials import Credentials, NoToken
from stitcherd.forges.models import ForgeAccount
from stitcherd.forges.outcome import Done, Hold, Outcome
from stitcherd.forges.paced_client import PacedClient

Value = TypeVar("Value")


class ForgeApi:
    """The API of one source's forge, with its credentials."""

    def __init__(self, client: ForgeClient, credentials: Credentials, now: Callable[[], int] = now_ms) -> None:
        self.forge = client.forge
        self._credentials = credentials
        self._paced = PacedClient(client, now)
        self._holds: dict[str, Hold] = {}
        self._now = now

    async def perform(self, call: Call[Value], tries: int = 1) -> Outcome[Value]:
        """Send a call and return what became of it; `tries` is the number of tries so far, with this one.

        A token that is not accepted is renewed once; after that nothing is sent with it for a while. Raises
        AccountChanged and InvalidReference.
        """
        scope = self._credentials.scope(call.request)
        held = self._holds.get(scope)
        if held is not None and held.until > self._now():
            return held
        outcome = await self._perform(call, tries)
        if isinstance(outcome, Hold) and outcome.cause == "credential" and self._credentials.renew(call.request):
            outcome = await self._perform(call, tries)
        self._holds.pop(scope, None)
        if isinstance(outcome, Hold) and outcome.cause != "rate_limit":  # PacedClient keeps those of all scopes
            self._holds[scope] = outcome
        return outcome

    async def identify(self) -> Outcome[ForgeAccount]:
        """Return the account that acts."""
        return await self._credentials.identify(self.perform)

    async def authorize(self, request: Request) -> Outcome[bool]:
        """Say whether there is a token for a request, without sending it: an App gets one only if it has the rights."""
        try:
            await self._credentials.token(request)
        except NoToken as missing:
            return missing.outcome
        return Done(True)

    def release(self) -> None:
        """End all holds but those of rate limits: somebody has seen to the credential."""
        self._holds.clear()

    async def _perform(self, call: Call[Value], tries: int) -> Outcome[Value]:
        try:
            token = await self._credentials.token(call.request)
        except NoToken as missing:
            return missing.outcome
        return await self._paced.perform(call, token, tries)
