"""Decisions as text: every check with its line in rails.yaml."""

import msgspec

from shared.models import Decision, Verdict
from tests.tui import documents
from tui.text.decisions import decision_lines, near_misses, verdict_headline


def test_every_check_is_listed_with_its_line_and_the_remedy() -> None:
    decision = msgspec.convert(documents.DECISION, Decision)
    lines = decision_lines(decision, lambda text, _colour: text)
    assert lines[0].strip() == documents.DECISION["reason"]
    checks = [line.split()[0:2] for line in lines if line.strip()[:1] in "✓✗·?" and line.strip()]
    assert checks == [["✓", "trigger"], ["✗", "who"], ["·", "guard"], ["·", "capabilities"]]
    assert sum("rails.yaml:" in line for line in lines) == 4
    assert lines[-1] == "  to allow it: add github:drive-by to team (rails.yaml:9)"
    assert near_misses(decision) == []


def test_headlines() -> None:
    assert verdict_headline(Verdict.WAITING) == ("WAITING FOR APPROVAL", "yellow")
    assert verdict_headline(Verdict.DENIED) == ("DENIED", "red")
