"""What the daemon's side reports to `stitcher doctor` about the API of a source."""

from shared.models import WireStruct


class ForgeReport(WireStruct, frozen=True):
    """Whose the credential of a source is (`login`, `id`), or why that cannot be told (`error`, `hint`).

    `expires` is when the token expires, in the forge's words; `clock_ahead` is how many seconds this machine's clock is
    ahead of the forge's. Both are None where the forge does not say.
    """

    source: str
    login: str | None = None
    id: str | None = None
    error: str | None = None
    hint: str | None = None
    expires: str | None = None
    clock_ahead: int | None = None
