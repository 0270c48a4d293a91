"""An output sink that keeps what an executor reports."""

from typing import Any

from shared.models import Usage


class RecordingSink:
    """Keeps output, events and usage, and the newest reference."""

    def __init__(self) -> None:
        self.output = bytearray()
        self.raw = bytearray()
        self.prompts: list[str] = []
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.usages: list[Usage] = []
        self.reference: dict[str, str] = {}

    def write(self, data: bytes) -> None:
        self.output += data

    def write_raw(self, data: bytes) -> None:
        self.raw += data

    def record_prompt(self, text: str) -> None:
        self.prompts.append(text)

    async def record_event(self, type_: str, payload: dict[str, Any]) -> None:
        self.events.append((type_, payload))

    async def add_usage(self, usage: Usage, reference: dict[str, str] | None = None) -> None:
        self.reference = reference or self.reference
        self.usages.append(usage)

    async def save_reference(self, reference: dict[str, str]) -> None:
        self.reference = reference

    @property
    def total(self) -> tuple[int, int, float]:
        """Input tokens, output tokens and dollars, summed over all reports."""
        usd = round(sum(usage.cost_usd for usage in self.usages), 6)
        return (
            sum(usage.input_tokens for usage in self.usages),
            sum(usage.output_tokens for usage in self.usages),
            usd,
        )
