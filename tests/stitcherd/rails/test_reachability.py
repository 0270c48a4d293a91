"""Triggers that can never fire are a fault of the file, and events for which one never fires a warning."""

from itertools import count

import pytest

from stitcherd.rails.load import RailsError, parse_rails
from tests.stitcherd.rails.contexts import SMALL

NO_COMMAND = "brings no commands, which come with change.comment, change.review, change.review_comment, issue.comment"
ON = "on: [issue.comment, change.comment], command: mend"


@pytest.mark.parametrize(
    ("conditions", "column", "reason"),
    [
        ("on: [issue.opened, push], command: mend", 20, f"issue.opened {NO_COMMAND}"),
        ("on: [check.completed], command: mend", 20, f"check.completed {NO_COMMAND}"),
        (
            "on: [issue.labeled], assignee: '@bot'",
            *(20, "issue.labeled assigns nobody, as issue.assigned and issue.opened do"),
        ),
        ("on: [push], labels: {all: [ready]}", 20, "push has no labels"),
        (
            "on: [issue.opened], labels: {all: [Ready], none: [ready]}",
            *(36, "it wants the label Ready, and that there is none"),
        ),
        ("on: [push], repos: [acme/*, '!*']", 28, "!* excludes every repository"),
    ],
    ids=count(),
)
def test_a_trigger_that_can_never_fire_is_a_fault(conditions: str, column: int, reason: str) -> None:
    with pytest.raises(RailsError) as refused:
        parse_rails(SMALL.replace(ON, conditions))
    assert refused.value.message == f"trigger word can never fire: {reason}"
    assert (refused.value.line, refused.value.column) == (9, column)


def test_an_event_for_which_a_trigger_never_fires_is_a_warning() -> None:
    rails = parse_rails(SMALL.replace(ON, "on: [issue.comment, push], command: mend"))
    (warning,) = (each for each in rails.warnings if each.line == 9)
    assert (warning.column, warning.message) == (36, f"trigger word never fires for push: push {NO_COMMAND}")


@pytest.mark.parametrize(
    "conditions",
    [
        ON,
        "on: [issue.assigned], assignee: '@bot', labels: {all: [ready], none: [wip]}",
        "on: [push, check.completed], labels: {none: [wip]}, repos: ['*', '!acme/*']",
    ],
)
def test_triggers_that_can_fire_have_neither(conditions: str) -> None:
    assert [each for each in parse_rails(SMALL.replace(ON, conditions)).warnings if each.line == 9] == []
