"""Completion of the last word of a filter."""

import pytest

from tui.widgets.inputs import VIEW_SIGN, complete_filter

VALUES = {"state": {"failed", "queued"}, "repo": {"octo-org/api"}, "gate": {"lint"}, VIEW_SIGN: ["stuck", "mine"]}


@pytest.mark.parametrize(
    ("text", "completed"),
    [
        ("sta", "state:"),
        ("state:f", "state:failed"),
        ("state:failed,q", "state:failed,queued"),
        ("type:fix -ga", "type:fix -gate:"),
        ("-gate:l", "-gate:lint"),
        ("REPO:OCTO", "REPO:octo-org/api"),
        ("@st", "@stuck"),
        ("state:failed", None),
        ("state:x", None),
        ("@stuck", None),
        ("", None),
    ],
)
def test_the_last_word_is_completed(text: str, completed: str | None) -> None:
    assert complete_filter(text, VALUES) == completed
