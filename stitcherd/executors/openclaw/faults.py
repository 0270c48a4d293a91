"""What can go wrong between Stitcher and a gateway: it says no, or it is not there."""

from typing import Any


class Lost(Exception):
    """The gateway cannot be reached, or is reached no longer; it may come back. The text says how it was noticed."""


class Refused(Exception):
    """The gateway answered no; `code` is the most precise one that it gave, and `passing` that later it may say yes."""

    def __init__(self, method: str, code: str, message: str, details: Any = None, *, passing: bool = False) -> None:
        super().__init__(f"the gateway refused {method}: {message}")
        precise = details.get("code") if isinstance(details, dict) else None
        self.code = precise if isinstance(precise, str) else code
        self.passing = passing
        self.at_the_door = method == "connect"

    @property
    def about_us(self) -> bool:
        """Whether the gateway does not take us for who we say that we are."""
        return self.code.startswith("AUTH_") or self.code == "DEVICE_IDENTITY_REQUIRED"
