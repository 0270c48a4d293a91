"""What authorizes the requests to a forge. A fixed token is one kind; `app_credentials` has the other."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from stitcherd.forges.base import Call, Forge, Request
from stitcherd.forges.models import ForgeAccount
from stitcherd.forges.outcome import Hold, Outcome, Rejected, RetryAt

Perform: TypeAlias = Callable[[Call[ForgeAccount]], Awaitable[Outcome[ForgeAccount]]]


class NoToken(Exception):
    """There is no token for a request; `outcome` is what that means for it."""

    def __init__(self, outcome: RetryAt | Hold | Rejected) -> None:
        words = (outcome.detail, outcome.hint) if isinstance(outcome, Rejected) else (outcome.reason,)
        super().__init__("; ".join(filter(None, words)))
        self.outcome = outcome


class Credentials(ABC):
    """Gives each request its token."""

    @abstractmethod
    def scope(self, request: Request) -> str:
        """Return a name for what shares the request's token: if it is not accepted, nothing there can be sent."""

    @abstractmethod
    async def token(self, request: Request) -> str:
        """Return the token for a request. Raises NoToken and InvalidReference."""

    @abstractmethod
    def renew(self, request: Request) -> bool:
        """Forget the token of a request, which was not accepted; return whether there may be another one."""

    @abstractmethod
    async def identify(self, perform: Perform) -> Outcome[ForgeAccount]:
        """Return the account that acts; `perform` sends a call with the token."""


class FixedToken(Credentials):
    """One token for everything."""

    def __init__(self, forge: Forge, token: str) -> None:
        self._forge = forge
        self._token = token

    def scope(self, _request: Request) -> str:
        """Return the same name for all."""
        return ""

    async def token(self, _request: Request) -> str:
        """Return the token."""
        return self._token

    def renew(self, _request: Request) -> bool:
        """Return False: there is no other."""
        return False

    async def identify(self, perform: Perform) -> Outcome[ForgeAccount]:
        """Ask the forge."""
        return await perform(self._forge.get_user())
