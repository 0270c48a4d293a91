"""The text pages: decisions are wrapped for the width."""

import msgspec

from shared.models import Decision
from tests.tui import documents
from tui.widgets.pages import decision_page


def test_a_long_reason_fills_the_lines_below_it() -> None:
    reason = " ".join(f"word{number}" for number in range(40))
    decision = msgspec.convert({**documents.DECISION, "reason": reason, "checks": []}, Decision)
    lines = ["".join(text for text, _ in line) for line in decision_page(decision, 60)]
    wrapped = [line for line in lines if "word" in line]
    assert " ".join(" ".join(wrapped).split()) == reason
    assert all(45 < len(line) <= 60 for line in wrapped[:-1])
