"""Who listens to an executor in these tests."""

from typing import Any

from shared.models import Usage


class RecordingSink:
    """Hears a run; what is remembered is the newest."""

    def __init__(self) -> None:
        self.said = bytearray()
        self.noted: list[tuple[str, dict[str, Any]]] = []
        self.uses: list[Usage] = []
        self.reference: dict[str, str] = {}

    def write(self, data: bytes) -> None:
        self.said += data

    async def record_event(self, type_: str, payload: dict[str, Any]) -> None:
        self.noted.append((type_, payload))

    async def add_usage(self, usage: Usage, reference: dict[str, str] | None = None) -> None:
        self.reference = reference or self.reference
        self.uses.append(usage)

    async def save_reference(self, reference: dict[str, str]) -> None:
        self.reference = reference

    @property
    def total(self) -> tuple[int, int, float]:
        usd = round(sum(use.cost_usd for use in self.uses), 6)
        return sum(use.input_tokens for use in self.uses), sum(use.output_tokens for use in self.uses), usd
