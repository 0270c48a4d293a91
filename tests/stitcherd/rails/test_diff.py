import pytest

from shared.api import RailsChange
from stitcherd.rails.diff import compare_rails, summarize_changes
from stitcherd.rails.load import parse_rails
from tests.stitcherd.rails.contexts import CONTEXT


def told(before: str, after: str) -> tuple[RailsChange, ...]:
    return compare_rails(parse_rails(before, CONTEXT).outline, parse_rails(after, CONTEXT).outline)


def test_a_text_does_not_differ_from_itself(every_word: str) -> None:
    assert told(every_word, every_word) == ()
    assert told(every_word, f"# a comment\n{every_word}") == ()
    assert told(every_word, every_word.replace("mode: enforce\n", "")) == ()
    assert summarize_changes(()) == ""


@pytest.mark.parametrize(
    ("old", "new", "what", "change", "keys"),
    [
        ("mode: enforce", "mode: observe", "mode", "changed", ()),
        ('["forge:ann", "forge:bob[bot]"]', '["forge:ann"]', "group crew", "changed", ("users",)),
        ("timeout: 90s", "timeout: 91s", "profile careful", "changed", ("timeout",)),
        ("tries: 2", "tries: 3", "job mend", "changed", ("tries",)),
        ("command: mend", "command: amend", "trigger mend-on-word", "changed", ("command",)),
        ("true}\n    then: deny", "true}\n    then: allow", "guard forked", "changed", ("then",)),
        ("run: [make, test]", "run: [make]", "gate unit", "changed", ("run",)),
        ("expires: 24h", "expires: 25h", "approvals expires", "changed", ()),
        ("per_sender: 6/h", "per_sender: 7/h", "limits rate.per_sender", "changed", ()),
        ("usd: 40.5", "usd: 41", "limits budget.per_day.usd", "changed", ()),
        ("on_edit: deny", "on_edit: allow", "paths tests.on_edit", "changed", ()),
    ],
)  # fmt: skip
def test_each_kind_of_part_is_reported(
    every_word: str, old: str, new: str, what: str, change: str, keys: tuple[str, ...]
) -> None:
    after = every_word.replace(old, new, 1)
    assert after != every_word
    (found,) = told(every_word, after)
    assert (found.what, found.change, found.keys) == (what, change, keys)
    assert found.line is not None
    shown = "\n".join(after.split("\n")[found.line - 1 : found.line + 3])
    assert what.rsplit(maxsplit=1)[-1].rsplit(".", maxsplit=1)[-1] in shown


def test_additions_and_removals_are_in_the_order_of_the_file(small: str) -> None:
    more = small + "  - {id: other, on: [push], from: [crew], job: mend}\n"
    assert told(small, more) == (RailsChange("trigger other", "added", (), 10),)
    assert told(more, small) == (RailsChange("trigger other", "removed", (), None),)


def test_reordered_triggers_are_reported_since_the_first_match_wins(small: str) -> None:
    other = "  - {id: other, on: [push], from: [crew], job: mend}\n"
    head, word = small[: small.index("  - ")], small[small.index("  - ") :]
    assert [(it.what, it.change) for it in told(head + word + other, head + other + word)] == [("triggers", "moved")]


def test_a_summary_counts_additions_and_names_the_rest() -> None:
    def change(what: str, change: str, *keys: str) -> RailsChange:
        return RailsChange(what, change, keys, 1)

    few = [
        change("trigger a", "added"),
        change("trigger b", "added"),
        change("job fix", "added"),
        change("trigger fix", "changed", "repos", "from"),
        change("limits rate.per_repo", "changed"),
        change("triggers", "moved"),
        change("guard x", "removed"),
    ]
    said = "+2 triggers, +1 job, trigger fix changed (repos, from), limits rate.per_repo changed"
    assert summarize_changes(few) == f"{said}, triggers reordered, guard x removed"
    assert summarize_changes([change(f"gate {n}", "removed") for n in range(7)]).endswith("gate 3 removed, 3 more")
