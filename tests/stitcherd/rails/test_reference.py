"""docs/rails.md names every event of triggers, and docs/rails-reference.md every key of the schema."""

import re
from pathlib import Path
from typing import get_args

from stitcherd.rails.types import EventName
from tools.rails_reference import FILE, reference

GUIDE = (Path(__file__).parents[3] / "docs" / "rails.md").read_text()


def test_all_events_are_listed_and_no_others() -> None:
    listed = re.findall(r"^\| `(push|(?:issue|change|check)\.[a-z_.]+)` \|", GUIDE, re.MULTILINE)
    assert listed == [*get_args(EventName)]


def test_the_reference_is_that_of_the_schema() -> None:
    assert FILE.read_text("utf-8") == reference(), "run: make man"


def test_each_key_says_what_it_means_and_what_it_takes() -> None:
    rows = re.findall(r"^\| `([a-z_.]+)` \| (.*?) \| (.*?) \| (.*?) \|$", reference(), re.MULTILINE)
    keys = {key for key, *_ in rows}
    assert {"mode", "if.labels_any", "labels.none", "budget.per_day.usd", "from", "self", "expect.output"} <= keys
    assert [key for key, takes, _, meaning in rows if not takes or not meaning] == []
    assert ("tries", "1 to 100", "`1`") in {row[:3] for row in rows}
    assert ("if.draft", "`true`", "") in {row[:3] for row in rows}
