"""Text for decisions: every check in order with its line in rails.yaml, and the change that would allow it."""

from collections.abc import Callable

from shared.models import Check, CheckOutcome, Decision, Verdict
from tui.text.plain import plain, width
from tui.text.table import align_columns, join_cells

Paint = Callable[[str, str], str]

SENTENCE_CELLS = 60  # longer sentences do not widen the column for all others

_MARKS = {
    CheckOutcome.PASS: ("✓", "green"),
    CheckOutcome.FAIL: ("✗", "red"),
    CheckOutcome.ASK: ("?", "yellow"),
    CheckOutcome.SKIP: ("·", "dim"),
    CheckOutcome.UNREACHED: ("·", "dim"),
}
_COLOURS = {Verdict.ALLOWED: "green", Verdict.DENIED: "red", Verdict.THROTTLED: "red"}


def verdict_headline(verdict: Verdict) -> tuple[str, str]:
    """Return a verdict in capitals, and its colour."""
    word = "WAITING FOR APPROVAL" if verdict is Verdict.WAITING else verdict.value.upper()
    return word, _COLOURS.get(verdict, "yellow")


def decision_lines(decision: Decision, paint: Paint) -> list[str]:
    """Return the lines below the headline: reason, checks, and the smallest change that would allow it."""
    facts = [f"rails {plain(decision.rails_revision)}" if decision.rails_revision else "no rails in force"]
    if decision.sandbox:
        facts.append(f"sandbox {plain(decision.sandbox)}")
    facts.append(f"decided in {decision.micros} µs")
    lines = [f"  {plain(decision.reason)}", f"  {paint(' · '.join(facts), 'dim')}"]
    if decision.checks:
        lines += ["", *_check_lines(decision.checks, paint)]
    if decision.remedy:
        lines += ["", f"  to allow it: {plain(decision.remedy.text)}{_rails_location(decision.remedy.line, ' ({})')}"]
    return lines


def near_misses(decision: Decision) -> list[str]:
    """Return a line for each trigger that was considered and did not match."""
    return [
        f"{_name(check)}: {_sentence(check)}"
        for check in decision.checks
        if check.kind == "trigger" and check.outcome is CheckOutcome.FAIL
    ]


def _check_lines(checks: tuple[Check, ...], paint: Paint) -> list[str]:
    """Return a line for each check; the location follows a long sentence without alignment."""
    names = align_columns([[_name(check)] for check in checks])
    sentences = [_sentence(check) for check in checks]
    room = max((cells for cells in map(width, sentences) if cells <= SENTENCE_CELLS), default=0)
    lines = []
    for check, (name,), sentence in zip(checks, names, sentences, strict=True):
        padded = sentence + " " * (room - width(sentence))
        lines.append(f"  {paint(*_MARKS[check.outcome])} {join_cells([name, padded, _rails_location(check.line)])}")
    return lines


def _name(check: Check) -> str:
    return plain(check.id.replace(":", " ", 1))


def _sentence(check: Check) -> str:
    seen = plain(check.seen) if check.seen is not None else ""
    wanted = f"wanted {plain(check.wanted)}" if check.wanted else ""
    because = f"({plain(check.because)})" if check.because else ""
    unreached = "(not reached)" if check.outcome is CheckOutcome.UNREACHED and not because else ""
    return " ".join(filter(None, (", ".join(filter(None, (seen, wanted))), because, unreached)))


def _rails_location(line: int | None, form: str = "{}") -> str:
    return form.format(f"rails.yaml:{line}") if line is not None else ""
